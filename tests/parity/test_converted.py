"""Weights under MMDetection's names give what they gave there, once converted."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from freeanchor.engine.conversion import build_untrained, convert

from .goldens import OWN, cases, deterministic, load

CONFIGS = Path(__file__).parents[2] / 'configs'
RECIPES = {
    'convert_atss_r18': (
        'atss_r50_fpn_1x',
        {
            'model.backbone.depth': 18,
            'model.neck.in_channels': [64, 128, 256, 512],
        },
    ),
    'convert_retinanet_r50_caffe': (
        'retinanet_r50_fpn_1x',
        {'model.backbone.style': 'caffe'},
    ),
}
ALLOWED = 1e-4  # of the largest value; as the goldens' README says of features


def value_of(name: str, shape: list[int], seed: int) -> np.ndarray:
    """As tests/goldens/make_converted.py fills a model."""
    if name.endswith('.scale'):
        return deterministic.uniform(name, shape, 0.5, 1.5, seed)
    if name == 'bbox_head.atss_cls.bias':
        return deterministic.uniform(name, shape, -3.0, -2.0, seed)
    return deterministic.tensor_for(name, shape, seed)


@pytest.mark.parametrize('name', cases('convert_'))
@torch.no_grad()
def test_outputs_are_mmdetections(name: str) -> None:
    case = load(name)
    info = case.info
    state = {
        k: torch.from_numpy(np.asarray(value_of(k, s, info['seed'])))
        for k, s in info['shapes'].items()
    }
    recipe, changes = RECIPES[name]
    cfg = Config.fromfile(CONFIGS / f'{recipe}.py')
    cfg.merge_from_dict(changes)
    model = build_untrained(cfg.model.to_dict()).eval()
    model.load_state_dict(convert(dict(state_dict=state)).weights, strict=True)

    rgb = deterministic.image('converted', *info['size'], info['seed'])
    inputs = torch.from_numpy(deterministic.normalised(rgb))[None]
    found = model(inputs)
    sizes = [x.shape[-2:] for x in model.neck(model.backbone(inputs))]
    kinds = {x.split('/')[0] for x in case}
    assert ('quality' in kinds) == bool(found.quality)
    for kind in kinds:
        rows = []
        for i, (x, size) in enumerate(zip(getattr(found, kind), sizes)):
            flat = x.reshape(1, *size, -1).permute(0, 3, 1, 2).double().flatten()
            places = torch.arange(64) * (len(flat) - 1) // 63
            rows.append((flat[places].numpy(), case[f'{kind}/{i}']))
        limit = ALLOWED * max(np.abs(theirs).max() for _, theirs in rows)
        for ours, theirs in rows:
            assert np.abs(ours - theirs).max() <= limit, kind


def test_every_shipped_config_was_converted_and_agreed() -> None:
    recorded = json.loads((OWN / 'converted_configs.json').read_text())['configs']
    families = ('freeanchor', 'retinanet', 'atss', 'paa')
    assert {x.split('_')[0] for x in recorded} == set(families)
    for name, row in recorded.items():
        for kind in ('logits', 'deltas', 'quality'):
            assert row.get(kind, 0) <= ALLOWED, name
