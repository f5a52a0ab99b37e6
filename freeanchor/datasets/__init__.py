from .coco import CocoDataset
from .samplers import AspectRatioBatchSampler
from .shapes import ShapesDataset, write_shapes
from .transforms import LoadAnnotations, LoadImageFromFile, PackDetInputs, RandomFlip

__all__ = [
    'AspectRatioBatchSampler',
    'CocoDataset',
    'LoadAnnotations',
    'LoadImageFromFile',
    'PackDetInputs',
    'RandomFlip',
    'ShapesDataset',
    'write_shapes',
]
