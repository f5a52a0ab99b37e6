"""Use a trained detector: from a checkpoint and images to detections."""

from .detecting import Detected, detect, detect_each
from .detector import Detector, load_detector
from .pipeline import ImagePipeline
from .results import to_coco, to_dicts, to_supervision
from .sources import ImageSource, find_images

__all__ = [
    'Detected',
    'Detector',
    'ImagePipeline',
    'ImageSource',
    'detect',
    'detect_each',
    'find_images',
    'load_detector',
    'to_coco',
    'to_dicts',
    'to_supervision',
]
