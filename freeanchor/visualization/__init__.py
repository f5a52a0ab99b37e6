"""Pictures of boxes, for people."""

from .drawing import class_colour, draw_comparison, draw_detections
from .hook import DetVisualizationHook

__all__ = [
    'DetVisualizationHook',
    'class_colour',
    'draw_comparison',
    'draw_detections',
]
