from .backbones import ResNet, ResNeXt, TimmBackbone, TorchvisionBackbone
from .detector import SingleStageDetector
from .fpn import FPN
from .preprocessor import DetDataPreprocessor
from .quality_head import QualityHead
from .retina_head import RetinaHead

__all__ = [
    'FPN',
    'DetDataPreprocessor',
    'QualityHead',
    'ResNeXt',
    'ResNet',
    'RetinaHead',
    'SingleStageDetector',
    'TimmBackbone',
    'TorchvisionBackbone',
]
