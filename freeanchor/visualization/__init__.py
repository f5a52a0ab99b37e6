"""Pictures of boxes, for people."""

from .drawing import class_colour, draw_comparison, draw_detections
from .hook import DetVisualizationHook
from .matching_hook import MatchingHook

__all__ = [
    'DetVisualizationHook',
    'MatchingHook',
    'class_colour',
    'draw_comparison',
    'draw_detections',
]
