from .anchors import AnchorGenerator, centred_inside
from .assign import BACKGROUND, IGNORED, max_iou_assign
from .coder import DeltaBoxCoder
from .overlaps import pairwise_iof, pairwise_iou
from .select import select_detections

__all__ = [
    'BACKGROUND',
    'IGNORED',
    'AnchorGenerator',
    'DeltaBoxCoder',
    'centred_inside',
    'max_iou_assign',
    'pairwise_iof',
    'pairwise_iou',
    'select_detections',
]
