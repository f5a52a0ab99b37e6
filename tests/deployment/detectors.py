"""A small detector with its pipeline, and images of several sizes."""

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from freeanchor.inference import Detector, ImagePipeline
from freeanchor.registry import SCOPE
from tests.models.test_deploy import detector

NAMES = ('disc', 'star', 'ring')
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(160, 120), keep_ratio=True),
    dict(type='PackDetInputs'),
]


def small(score_thr: float = 0.05) -> Detector:
    """Trained for nothing, in evaluation mode, on the CPU."""
    model = detector().eval()
    model.test_cfg = {**model.test_cfg, 'score_thr': score_thr}
    cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=PIPELINE))))
    with DefaultScope.overwrite_default_scope(SCOPE):
        pipeline = ImagePipeline.of_config(cfg)
    return Detector(model, cfg, pipeline, NAMES, (7, 8, 9))


def images() -> list[np.ndarray]:
    """Noise, as it looks in a photo: upright, wide, odd, small; and one of grey."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for height, width in [(331, 203), (97, 240), (131, 131), (40, 56)]:
        coarse = torch.rand(1, 3, height // 8, width // 8, generator=generator) * 255
        fine = torch.nn.functional.interpolate(coarse, (height, width), mode='bilinear')
        found.append(fine[0].permute(1, 2, 0).round().byte().numpy())
    return [*found, np.full((100, 150, 3), 128, dtype=np.uint8)]
