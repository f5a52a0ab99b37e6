"""Our models with the weights of a golden case."""

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor

from freeanchor.registry import MODELS

from .goldens import Case, deterministic

CONFIGS = Path(__file__).parents[2] / 'configs'
R18 = {
    'model.backbone.depth': 18,
    'model.neck.in_channels': [64, 128, 256, 512],
}


def config(name: str) -> Config:
    """Our recipe for the golden's model, such as ``freeanchor_r18``."""
    loss, depth = name.split('_')
    loss = {'freeanchor': 'free_anchor', 'retinanet': 'retinanet'}[loss]
    recipe = {'r18': 'r50', 'x101': 'x101_32x4d'}.get(depth, depth)
    cfg = Config.fromfile(CONFIGS / f'{loss}_{recipe}_fpn_1x.py')
    cfg.model.backbone.init_cfg = None
    if depth == 'r18':
        cfg.merge_from_dict(R18)
    return cfg


def build(info: dict[str, Any], dtype: torch.dtype) -> tuple[torch.nn.Module, Config]:
    """The model of a case, with the case's weights, and its config."""
    cfg = config(info['model'])
    cfg.model.bbox_head.num_classes = info['num_classes']
    model = MODELS.build(cfg.model)
    shapes = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    values = deterministic.fill_state(shapes, info['weights_seed'])
    model.load_state_dict({k: torch.from_numpy(v) for k, v in values.items()})
    return model.to(dtype), cfg


def batch(case: Case, dtype: torch.dtype) -> tuple[Tensor, list[BaseDataElement]]:
    """The padded pictures of a case and what is known of them."""
    info = case.info
    inputs = torch.zeros(info['batch_shape'])
    samples = []
    for i, (name, size) in enumerate(zip(info['image_names'], info['img_shape'])):
        rgb = deterministic.image(name, *size, info['image_seed'])
        inputs[i, :, : size[0], : size[1]] = torch.from_numpy(
            deterministic.normalised(rgb)
        )
        metainfo = dict(
            img_shape=tuple(size),
            pad_shape=tuple(info['pad_shape'][i]),
            scale_factor=tuple(info['scale_factor'][i]),
        )
        sample = BaseDataElement(metainfo=metainfo)
        if f'gt_bboxes_{i}' in case:
            sample.gt_instances = InstanceData(
                bboxes=torch.from_numpy(case[f'gt_bboxes_{i}']).reshape(-1, 4),
                labels=torch.from_numpy(case[f'gt_labels_{i}']).reshape(-1),
            )
        samples.append(sample)
    return inputs.to(dtype), samples
