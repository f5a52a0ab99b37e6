"""FreeAnchor on different trunks: parameters, operations and time of a step.

Ours alone, by turns. On a CPU 1 x 512 x 512, on a GPU 2 x 800 x 1333.
"""

from typing import Any

import torch
from mmengine.config import Config

from benchmarks.machine import ROOT
from benchmarks.step import step_of
from benchmarks.timing import interleave
from freeanchor.registry import MODELS
from tools.analysis.count_flops import count

TRUNKS = {
    'ResNet-50': 'r50',
    'ResNet-101': 'r101',
    'ResNeXt-101 32x4d': 'x101_32x4d',
    'ResNeXt-50 32x4d (torchvision)': 'resnext50_32x4d',
    'ResNet-50-D (timm)': 'resnet50d',
    'RegNetY-1.6GF (torchvision)': 'regnety_1.6gf',
    'EfficientNet-B0 (torchvision)': 'efficientnet_b0',
    'EfficientNetV2-S (timm)': 'efficientnetv2_s',
    'MobileNetV3-Large (torchvision)': 'mobilenet_v3_large',
    'ConvNeXt-T (timm)': 'convnext_tiny',
    'ConvNeXt V2-N (timm)': 'convnextv2_nano',
    'Swin-T (torchvision)': 'swin_tiny',
}
COUNTED_AT = (800, 1280)


def measure(device: str, quick: bool) -> dict[str, Any]:
    """Time steps of all trunks; see ``benchmarks/README.md`` for what is returned."""
    names = list(TRUNKS)[:2] if quick else list(TRUNKS)
    images, size = (1, (512, 512)) if device == 'cpu' else (2, (800, 1333))
    if quick:
        size = (128, 128)
    configs = {name: config_of(TRUNKS[name]) for name in names}
    numbers = {name: count(cfg, COUNTED_AT)['parts'] for name, cfg in configs.items()}
    calls = {
        name: step_of(built(cfg, device), cfg.optim_wrapper, device, images, size, True)
        for name, cfg in configs.items()
    }
    times = interleave(calls, 2 if quick else 5 if device == 'cpu' else 20,
                       1 if device == 'cpu' else 5, device)  # fmt: skip
    rows = [row(name, numbers[name], times) for name in names]
    return dict(
        title='Trunks, FreeAnchor',
        reach='none is set; a table to choose from',
        columns=[
            'trunk', 'config', 'parameters, M', 'of the trunk, M', 'GFLOPs',
            'of the trunk', 'step, ms', 'against R-50',
        ],
        rows=rows,
        notes=[
            f'FLOPs at {COUNTED_AT[0]} x {COUNTED_AT[1]}, a multiply-add is two; '
            f'a step is one of {images} x {size[0]} x {size[1]}, 10 objects an image',
            'weights are random; no accuracy was measured',
        ],
        raw=dict(times=times, numbers=numbers),
    )  # fmt: skip


def config_of(name: str) -> Config:
    """A recipe of ``configs/`` whose trunk needs no download."""
    cfg = Config.fromfile(ROOT / 'configs' / f'free_anchor_{name}_fpn_1x.py')
    cfg.model.backbone.pop('init_cfg', None)
    if cfg.model.backbone.type == 'TimmBackbone':
        cfg.model.backbone.pretrained = False
    return cfg


def built(cfg: Config, device: str) -> Any:
    """The detector, ready for training."""
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model.to(device).to(memory_format=torch.channels_last).train()


def row(name: str, parts: dict[str, Any], times: dict[str, Any]) -> list[Any]:
    """One line of the table."""
    seconds = times[name]['wall_median_s']
    return [
        name,
        f'free_anchor_{TRUNKS[name]}_fpn_1x',
        round(parts['total']['parameters'] / 1e6, 1),
        round(parts['backbone']['parameters'] / 1e6, 1),
        round(parts['total']['flops'] / 1e9, 1),
        round(parts['backbone']['flops'] / 1e9, 1),
        round(seconds * 1e3),
        round(seconds / times['ResNet-50']['wall_median_s'], 2),
    ]
