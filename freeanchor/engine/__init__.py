"""What happens around training: configs, checkpoints, processes, logs."""

from .amp import AmpOptimWrapper, Bfloat16OptimWrapper, use_amp
from .broken_images import BrokenImagesError, BrokenImagesHook
from .checkpoints import CheckpointHook
from .class_check import ClassCheckHook
from .compilation import use_compile
from .config_files import load_config
from .early_stopping import EarlyStoppingHook
from .finite import FiniteLossHook, NonFiniteError
from .loading import read_checkpoint, weights_of
from .log_file import LocalVisBackend
from .loops import EpochBasedTrainLoop, IterBasedTrainLoop
from .naming import ConfigError
from .optim import OptimWrapper
from .pretrained import Pretrained
from .pretrained_rgb import PretrainedOnRGB
from .runner import DetectionRunner
from .screen import ProgressLoggerHook
from .stop_hook import StopHook
from .summary import SummaryHook
from .validation_loss import ValidationLossHook
from .warm_start import WarmStartHook
from .watchdog import WatchdogHook
from .weights import CheckpointError

__all__ = [
    'AmpOptimWrapper',
    'Bfloat16OptimWrapper',
    'BrokenImagesError',
    'BrokenImagesHook',
    'CheckpointError',
    'CheckpointHook',
    'ClassCheckHook',
    'ConfigError',
    'DetectionRunner',
    'EarlyStoppingHook',
    'EpochBasedTrainLoop',
    'FiniteLossHook',
    'IterBasedTrainLoop',
    'LocalVisBackend',
    'NonFiniteError',
    'OptimWrapper',
    'Pretrained',
    'PretrainedOnRGB',
    'ProgressLoggerHook',
    'StopHook',
    'SummaryHook',
    'ValidationLossHook',
    'WarmStartHook',
    'WatchdogHook',
    'load_config',
    'read_checkpoint',
    'use_amp',
    'use_compile',
    'weights_of',
]
