from .coco import CocoDataset
from .samplers import AspectRatioBatchSampler
from .shapes import ShapesDataset, write_shapes
from .transforms import LoadAnnotations, LoadImageFromFile, PackDetInputs

__all__ = [
    'AspectRatioBatchSampler',
    'CocoDataset',
    'LoadAnnotations',
    'LoadImageFromFile',
    'PackDetInputs',
    'ShapesDataset',
    'write_shapes',
]
