"""What happens around training: configs, checkpoints, processes, logs."""

from .amp import Bfloat16OptimWrapper, use_amp
from .class_check import ClassCheckHook
from .config_files import load_config
from .naming import ConfigError
from .runner import DetectionRunner
from .screen import ProgressLoggerHook
from .summary import SummaryHook

__all__ = [
    'Bfloat16OptimWrapper',
    'ClassCheckHook',
    'ConfigError',
    'DetectionRunner',
    'ProgressLoggerHook',
    'SummaryHook',
    'load_config',
    'use_amp',
]
