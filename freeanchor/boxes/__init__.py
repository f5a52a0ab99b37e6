from .adaptive import atss_assign
from .anchors import AnchorGenerator, centred_inside
from .assign import BACKGROUND, IGNORED, assign_by_iou, max_iou_assign
from .coder import DeltaBoxCoder
from .fitted_anchors import FittedAnchorGenerator
from .fusing import can_fuse, device_of
from .legacy_anchors import LegacyAnchorGenerator
from .legacy_coder import LegacyDeltaBoxCoder
from .overlaps import aligned_iou, pairwise_iof, pairwise_iou
from .scoring import Scoring
from .search import most_overlapping, overlapping
from .select import select_detections
from .task_aligned import task_aligned_assign

__all__ = [
    'BACKGROUND',
    'IGNORED',
    'AnchorGenerator',
    'DeltaBoxCoder',
    'FittedAnchorGenerator',
    'LegacyAnchorGenerator',
    'LegacyDeltaBoxCoder',
    'Scoring',
    'aligned_iou',
    'assign_by_iou',
    'atss_assign',
    'can_fuse',
    'centred_inside',
    'device_of',
    'max_iou_assign',
    'most_overlapping',
    'overlapping',
    'pairwise_iof',
    'pairwise_iou',
    'select_detections',
    'task_aligned_assign',
]
