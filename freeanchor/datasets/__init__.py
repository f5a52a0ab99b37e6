from .coco import CocoDataset
from .errors import BrokenImageError, DataError, MissingImageError
from .image_loading import LoadImageFromFile
from .json_dataset import BaseDataset
from .legacy_boxes import LegacyBoxes
from .multi_scale import MultiScaleFlipAug
from .random_crop import RandomCrop
from .samplers import AspectRatioBatchSampler
from .shapes import ShapesDataset, write_shapes
from .transforms import LoadAnnotations, PackDetInputs, RandomFlip

__all__ = [
    'AspectRatioBatchSampler',
    'BaseDataset',
    'BrokenImageError',
    'CocoDataset',
    'DataError',
    'LegacyBoxes',
    'LoadAnnotations',
    'LoadImageFromFile',
    'MissingImageError',
    'MultiScaleFlipAug',
    'PackDetInputs',
    'RandomCrop',
    'RandomFlip',
    'ShapesDataset',
    'write_shapes',
]
