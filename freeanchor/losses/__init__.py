from .base import DenseLoss
from .free_anchor import FreeAnchorLoss
from .retina import RetinaLoss

__all__ = ['DenseLoss', 'FreeAnchorLoss', 'RetinaLoss']
