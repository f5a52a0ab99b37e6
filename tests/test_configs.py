"""Every config in configs/ is one that can be trained."""

from pathlib import Path

import pytest

from freeanchor.engine import ConfigError, load_config
from freeanchor.engine.conversion import build_untrained

CONFIGS = Path(__file__).parents[1] / 'configs'
RECIPES = sorted(CONFIGS.glob('*.py'))
LEAST_KEPT = 2  # checkpoints; one damaged file must not be the only one


@pytest.fixture(params=RECIPES, ids=lambda path: path.stem)
def path(request):
    return request.param


def test_there_are_recipes():
    names = {path.stem for path in RECIPES}
    for trunk in ('r50', 'r101', 'x101_32x4d'):
        assert {f'free_anchor_{trunk}_fpn_1x', f'retinanet_{trunk}_fpn_1x'} <= names


def test_every_name_in_it_is_known(path):
    cfg = load_config(path)
    assert cfg.default_scope == 'freeanchor'
    assert cfg.default_hooks.checkpoint.max_keep_ckpts >= LEAST_KEPT


def test_its_model_can_be_built(path):
    cfg = load_config(path)
    if cfg.model.backbone.type == 'TimmBackbone':
        pytest.importorskip('timm')
    model = build_untrained(cfg.model.to_dict())
    classes = cfg.train_dataloader.dataset.get('metainfo', {}).get('classes')
    if classes is not None:
        assert model.bbox_head.num_classes == len(classes)


def test_its_header_says_what_it_is_and_how_to_run_it(path):
    text = path.read_text()
    header = text.split('"""')[1]
    assert f'configs/{path.name}' in header
    assert 'tools/' in header


def test_published_numbers_are_called_published(path):
    if '_1x' in path.stem:
        assert 'not measured yet' in path.read_text().split('"""')[1].lower()


def test_the_two_methods_differ_in_the_loss_alone():
    free_anchor = load_config(CONFIGS / 'free_anchor_r50_fpn_1x.py').to_dict()
    retinanet = load_config(CONFIGS / 'retinanet_r50_fpn_1x.py').to_dict()
    for cfg in (free_anchor, retinanet):
        del cfg['model']['loss'], cfg['model']['bbox_head']['bbox_coder']
        cfg['optim_wrapper'].pop('clip_grad', None)
    assert free_anchor == retinanet


def test_free_anchor_is_mmdetections_recipe():
    cfg = load_config(CONFIGS / 'free_anchor_r50_fpn_1x.py')
    assert cfg.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0001
    )
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=35, norm_type=2)
    warm_up, steps = cfg.param_scheduler
    assert (warm_up.start_factor, warm_up.end) == (0.001, 500)
    assert (steps.milestones, steps.gamma) == ([8, 11], 0.1)
    assert cfg.train_cfg.max_epochs == 12
    assert cfg.auto_scale_lr.base_batch_size == 16


def test_a_slip_in_any_of_them_is_found(path):
    with pytest.raises(ConfigError, match="did you mean 'val_interval'"):
        load_config(path, ['train_cfg.val_intervl=1'])
