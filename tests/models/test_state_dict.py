"""The names that published checkpoints know.

``keys/*.txt`` were written by MMDetection 3.3.0's own models: name and shape,
in their order.
"""

from pathlib import Path

import pytest
from mmengine.config import Config

from freeanchor.registry import MODELS

ROOT = Path(__file__).parents[2]
RECIPES = ['free_anchor_r50', 'free_anchor_r101', 'free_anchor_x101_32x4d']
OTHERS = {
    'retinanet_r50': 'free_anchor_r50',
    'retinanet_r101': 'free_anchor_r101',
    'retinanet_x101_32x4d': 'free_anchor_x101_32x4d',
}


@pytest.mark.parametrize('recipe', [*RECIPES, *OTHERS])
def test_names_order_and_shapes_are_mmdetections(recipe: str) -> None:
    cfg = Config.fromfile(ROOT / f'configs/{recipe}_fpn_1x.py')
    cfg.model.backbone.init_cfg = None
    state = MODELS.build(cfg.model).state_dict()
    ours = [f'{k} {"x".join(map(str, v.shape))}'.rstrip() for k, v in state.items()]
    keys = Path(__file__).parent / 'keys' / f'{OTHERS.get(recipe, recipe)}.txt'
    assert ours == keys.read_text().splitlines()
