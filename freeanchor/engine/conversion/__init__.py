"""Checkpoints and configs of other projects, turned into ours."""

from .building import build_untrained
from .channels import num_classes
from .convert import Converted, convert
from .fitting import misfits, rescaled
from .recognition import SOURCES, ConversionError
from .trunks import fitting_configs, trunk_of

__all__ = [
    'SOURCES',
    'ConversionError',
    'Converted',
    'build_untrained',
    'convert',
    'fitting_configs',
    'misfits',
    'num_classes',
    'rescaled',
    'trunk_of',
]
