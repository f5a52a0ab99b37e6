"""The authors' recipes say what the authors' code says."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement, InstanceData

from freeanchor.boxes.candidates import Candidates
from freeanchor.engine import load_config
from freeanchor.registry import MODELS, SCOPE, TRANSFORMS

CONFIGS = Path(__file__).parents[1] / 'configs'
RECIPES = {
    'r50_fpn_1x': (50, 90000, [800]),
    'r101_fpn_1x': (101, 90000, [800]),
    'r101_fpn_j2x': (101, 180000, range(640, 801, 32)),
    'r101_fpn_e2x': (101, 180000, range(480, 961, 32)),
    'x101_64x4d_fpn_j2x': (101, 180000, range(640, 801, 32)),
    'x101_64x4d_fpn_e2x': (101, 180000, range(480, 961, 32)),
}


def recipe(name: str) -> Any:
    return load_config(CONFIGS / f'free_anchor_{name}_official.py')


def detector(cfg: Any) -> Any:
    del cfg.model.backbone.init_cfg  # not to be downloaded
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


@pytest.fixture(scope='module')
def r50() -> Any:
    return detector(recipe('r50_fpn_1x'))


def test_all_six_are_there():
    found = {x.stem for x in CONFIGS.glob('free_anchor_*_official.py')}
    assert found == {f'free_anchor_{x}_official' for x in RECIPES}


@pytest.mark.parametrize('name', RECIPES)
def test_schedule_and_trunk_are_the_authors(name):
    depth, max_iters, _ = RECIPES[name]
    cfg = recipe(name)
    warm_up, steps = cfg.param_scheduler
    assert cfg.train_cfg.max_iters == max_iters
    assert steps.milestones == [max_iters * 2 // 3, max_iters * 8 // 9]
    assert (warm_up.start_factor, warm_up.end) == (1 / 3, 500)
    assert not warm_up.by_epoch
    assert not steps.by_epoch
    assert 'clip_grad' not in cfg.optim_wrapper
    assert cfg.model.backbone.depth == depth
    strides_first = cfg.model.backbone.style == 'caffe'
    assert strides_first != name.startswith('x101')
    assert (cfg.model.backbone.get('groups'), cfg.model.backbone.get('base_width')) == (
        (64, 4) if name.startswith('x101') else (None, None)
    )


@pytest.mark.parametrize('name', RECIPES)
def test_training_pictures_have_the_authors_sizes(name):
    _, _, shorter = RECIPES[name]
    steps = recipe(name).train_dataloader.dataset.pipeline
    resize = next(x for x in steps if 'Resize' in x['type'])
    scales = resize['scales'] if 'scales' in resize else [resize['scale']]
    assert [tuple(x) for x in scales] == [(1333, short) for short in shorter]


def test_empty_images_are_left_out_and_small_ones_are_not():
    filters = recipe('r50_fpn_1x').train_dataloader.dataset.filter_cfg
    assert filters == dict(filter_empty_gt=True, min_size=0)


def test_a_pipeline_gives_boxes_by_last_pixels(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((400, 600, 3), np.uint8))
    instance = dict(bbox=[100, 50, 200, 150], bbox_label=0, ignore_flag=0)
    results: Any = dict(
        img_path=str(tmp_path / 'a.png'), height=400, width=600, instances=[instance]
    )
    for step in recipe('r50_fpn_1x').train_dataloader.dataset.pipeline:
        if step['type'] != 'RandomFlip':
            results = TRANSFORMS.build(step)(results)
    boxes = results['data_samples'].gt_instances.bboxes
    # Doubled; the last pixels 199 and 149 become 398 and 298.
    assert boxes.tolist() == [[200, 100, 399, 299]]


def test_biases_learn_twice_as_fast_and_do_not_decay(r50):
    cfg = recipe('r50_fpn_1x')
    with DefaultScope.overwrite_default_scope(SCOPE):
        wrapper = build_optim_wrapper(r50, cfg.optim_wrapper)
    names = {id(p): name for name, p in r50.named_parameters()}
    found = {
        names[id(p)]: (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for p in group['params']
    }
    # The rule of maskrcnn-benchmark's solver/build.py.
    expected = {
        name: (0.02, 0.0) if 'bias' in name else (0.01, 0.0001)
        for name, p in r50.named_parameters()
        if p.requires_grad
    }
    assert found == expected
    assert sum('bias' in name for name in found) == 8 + 2 + 8  # neck, outputs, towers


def test_norms_stem_and_first_stage_are_frozen(r50):
    r50.train()
    trained = [k for k, p in r50.backbone.named_parameters() if p.requires_grad]
    assert {x.split('.')[0] for x in trained} == {'layer2', 'layer3', 'layer4'}
    assert all('conv' in x or 'downsample.0' in x for x in trained)
    norms = [m for m in r50.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not any(m.training for m in norms)


def test_p6_is_made_from_p5(r50):
    assert r50.neck.fpn_convs[3].conv.in_channels == 256
    maps = [torch.rand(1, c, s, s) for c, s in ((256, 32), (512, 16), (1024, 8))]
    *_, p5, p6, p7 = r50.neck([*maps, torch.rand(1, 2048, 4, 4)])
    torch.testing.assert_close(p6, r50.neck.fpn_convs[3](p5))
    torch.testing.assert_close(p7, r50.neck.fpn_convs[4](p6.relu()))


def test_the_neck_begins_as_caffe2s(r50):
    for conv in (m for m in r50.neck.modules() if isinstance(m, torch.nn.Conv2d)):
        bound = (3 / conv.weight[0].numel()) ** 0.5  # uniform, variance 1 / fan-in
        assert bound * 0.98 < conv.weight.abs().max() <= bound
        assert not conv.bias.any()


def test_every_anchor_begins_at_the_paper_s_prior(r50):
    bias = r50.bbox_head.retina_cls.bias
    torch.testing.assert_close(bias.sigmoid(), torch.full_like(bias, 0.02))


def test_pictures_stay_in_bgr_and_are_not_divided(r50):
    image = torch.tensor([10, 20, 30], dtype=torch.uint8)[:, None, None]
    sample = BaseDataElement(metainfo=dict(img_shape=(1, 1)))
    batch = r50.data_preprocessor(dict(inputs=[image], data_samples=[sample]))
    seen = batch['inputs'][0, :, 0, 0]
    theirs = torch.tensor([10 - 102.9801, 20 - 115.9465, 30 - 122.7717])
    torch.testing.assert_close(seen, theirs)


@pytest.mark.parametrize('name', ['r50_fpn_1x', 'r101_fpn_1x', 'x101_64x4d_fpn_e2x'])
def test_it_trains_a_step_and_predicts(name):
    model = detector(recipe(name)).train()
    sample = BaseDataElement(metainfo=dict(img_shape=(64, 96)))
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[10.0, 10.0, 50.0, 40.0]]), labels=torch.tensor([7])
    )
    images = torch.rand(1, 3, 64, 96)
    losses = model(images, [sample], mode='loss')
    sum(losses.values()).backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert all(p.grad.isfinite().all() for p in trained)
    torch.optim.SGD(trained, lr=0.001).step()
    with torch.no_grad():
        (found,) = model.eval()(images, [sample], mode='predict')
    assert found.pred_instances.bboxes.isfinite().all()


def test_multi_scale_testing_has_the_authors_sizes():
    official, clean = (
        Config.fromfile(CONFIGS / '_base_' / 'tta' / f'{x}.py')
        for x in ('official', 'clean')
    )
    sizes = [(480, 800), (640, 1067), (800, 1333)]
    sizes += [(960, 1600), (1120, 1867), (1280, 2133)]
    assert [tuple(x) for x in official.tta_model.scales] == sizes
    scales = clean.tta_pipeline[1].scales
    assert [tuple(x) for x in scales] == [(long, short) for short, long in sizes]


def test_detections_end_where_the_scaled_back_last_pixel_does(r50):
    """The last pixel, 60 in an image of twice the size, is 30 in the original."""
    sample = BaseDataElement(metainfo=dict(img_shape=(64, 64), scale_factor=(2.0, 2.0)))
    box = torch.tensor([[20.0, 20.0, 61.0, 61.0]])
    one = torch.zeros(1, dtype=torch.long)
    candidates = Candidates(box, torch.tensor([0.9]), one, one)
    with patch.object(r50, 'find_candidates', lambda *_: candidates):
        (found,) = r50(torch.zeros(1, 3, 64, 64), [sample], mode='predict')
    assert found.pred_instances.bboxes.tolist() == [[10, 10, 31, 31]]
