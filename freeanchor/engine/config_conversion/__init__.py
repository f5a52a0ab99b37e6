"""MMDetection's configs, turned into ours."""

from .convert import convert_config
from .report import Report
from .writing import config_text

__all__ = ['Report', 'config_text', 'convert_config']
