from .backbones import ResNet, ResNeXt, TimmBackbone
from .detector import SingleStageDetector
from .fpn import FPN
from .preprocessor import DetDataPreprocessor
from .retina_head import RetinaHead

__all__ = [
    'FPN',
    'DetDataPreprocessor',
    'ResNeXt',
    'ResNet',
    'RetinaHead',
    'SingleStageDetector',
    'TimmBackbone',
]
