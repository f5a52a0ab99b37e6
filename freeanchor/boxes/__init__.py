from .anchors import AnchorGenerator, centred_inside
from .assign import BACKGROUND, IGNORED, max_iou_assign, assign_by_iou
from .coder import DeltaBoxCoder
from .overlaps import aligned_iou, pairwise_iof, pairwise_iou
from .search import most_overlapping, overlapping
from .select import select_detections

__all__ = [
    'BACKGROUND',
    'IGNORED',
    'AnchorGenerator',
    'DeltaBoxCoder',
    'aligned_iou',
    'centred_inside',
    'max_iou_assign',
    'assign_by_iou',
    'most_overlapping',
    'overlapping',
    'pairwise_iof',
    'pairwise_iou',
    'select_detections',
]
