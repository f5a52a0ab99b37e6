from .atss import ATSSLoss
from .auto_assign import AutoAssignLoss
from .base import DenseLoss
from .free_anchor import FreeAnchorLoss
from .localization import GIoUDistance, SmoothL1Distance
from .ltm import LTMLoss
from .paa import PAALoss
from .retina import RetinaLoss
from .tal import TALLoss

__all__ = [
    'ATSSLoss',
    'AutoAssignLoss',
    'DenseLoss',
    'FreeAnchorLoss',
    'GIoUDistance',
    'LTMLoss',
    'PAALoss',
    'RetinaLoss',
    'SmoothL1Distance',
    'TALLoss',
]
