from .backbones import ResNet, ResNeXt, TimmBackbone, TorchvisionBackbone
from .detector import SingleStageDetector
from .fpn import FPN
from .preprocessor import DetDataPreprocessor
from .quality_head import QualityHead
from .retina_head import RetinaHead
from .tta import DetTTAModel, RescaleTTAModel

__all__ = [
    'FPN',
    'DetDataPreprocessor',
    'DetTTAModel',
    'QualityHead',
    'ResNeXt',
    'ResNet',
    'RescaleTTAModel',
    'RetinaHead',
    'SingleStageDetector',
    'TimmBackbone',
    'TorchvisionBackbone',
]
