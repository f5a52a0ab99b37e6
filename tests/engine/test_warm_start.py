"""A training begins with all of another detector that fits."""

import pytest
import torch
from mmengine.config import Config

from freeanchor.engine import CheckpointError
from freeanchor.engine.conversion import ConversionError, convert, rescaled
from freeanchor.engine.warm_start import WarmStartHook, fitting, use_warm_start
from freeanchor.registry import MODELS

from .test_conversion_mmdet import CONFIGS, SMALL, small

META = dict(mmengine_version='0', cfg="default_scope = 'freeanchor'")
STDS = dict(
    retinanet=(1.0, 1.0, 1.0, 1.0),
    free_anchor=(0.1, 0.1, 0.2, 0.2),
)


class FakeRunner:
    """What the hook reads of a runner."""

    _resume = False
    _load_from = 'start.pth'

    def __init__(self, model):
        self.model = model
        self.cfg = Config.fromfile(CONFIGS / 'free_anchor_r50_fpn_1x.py')


def checkpoint(model, stds):
    meta = dict(META, box_stds=list(stds))
    return dict(meta=meta, state_dict=model.state_dict())


def started(model, content, resume=False):
    runner = FakeRunner(model)
    runner._resume = resume
    WarmStartHook().after_load_checkpoint(runner, content)
    return content['state_dict']


@torch.no_grad()
def test_the_same_boxes_come_out_under_other_stds():
    torch.manual_seed(0)
    retinanet = small('retinanet_r50_fpn_1x')
    torch.nn.init.normal_(retinanet.bbox_head.retina_reg.bias)
    free_anchor = small('free_anchor_r50_fpn_1x')
    state = started(free_anchor, checkpoint(retinanet, STDS['retinanet']))
    free_anchor.load_state_dict(state)
    images = torch.randn(1, 3, 64, 64)
    theirs, mine = retinanet(images), free_anchor(images)
    for a, b, anchors in zip(theirs.deltas, mine.deltas, mine.anchors):
        expected = theirs.coder.decode(anchors, a.reshape(1, -1, 4))
        found = mine.coder.decode(anchors, b.reshape(1, -1, 4))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_classes_of_another_number_are_left_out_and_the_rest_is_taken():
    torch.manual_seed(0)
    new = small()
    head = dict(SMALL, **{'model.bbox_head.num_classes': 5})
    cfg = Config.fromfile(CONFIGS / 'free_anchor_r50_fpn_1x.py')
    cfg.merge_from_dict(head)
    cfg.model.backbone.init_cfg = None
    old = MODELS.build(cfg.model)
    state = started(new, checkpoint(old, STDS['free_anchor']))
    left_out = set(new.state_dict()) - set(state)
    assert left_out == {'bbox_head.retina_cls.weight', 'bbox_head.retina_cls.bias'}


def test_a_resumed_run_is_left_alone():
    content = checkpoint(small(), STDS['retinanet'])
    before = {k: x.clone() for k, x in content['state_dict'].items()}
    state = started(small(), content, resume=True)
    for name, x in before.items():
        assert torch.equal(state[name], x)


def test_a_file_of_no_retinanet_is_refused_by_name():
    content = dict(state_dict={'fc.weight': torch.ones(2, 2)})
    with pytest.raises(CheckpointError, match=r'--warm-start start\.pth.*fc\.weight'):
        started(small(), content)


def test_weights_of_which_none_fits_are_refused():
    state = small().state_dict()
    own = {k: torch.zeros(*x.shape, 2) for k, x in state.items()}
    with pytest.raises(CheckpointError, match='none of its weights fits'):
        fitting(state, own, 'start.pth')


def test_stds_that_no_one_knows_are_taken_to_be_equal_and_that_is_said():
    converted = convert(dict(state_dict=small().state_dict()))
    assert converted.settings.stds is None
    scaled, note = rescaled(converted, (0.1, 0.1, 0.2, 0.2))
    assert 'does not say' in note
    name = 'bbox_head.retina_reg.weight'
    assert torch.equal(scaled.weights[name], converted.weights[name])


def test_the_config_is_told_of_the_file_and_keeps_its_hooks(tmp_path):
    path = tmp_path / 'start.pth'
    path.touch()
    cfg = Config.fromfile(CONFIGS / 'free_anchor_r50_fpn_1x.py')
    hooks = set(cfg.default_hooks)
    use_warm_start(cfg, str(path))
    assert cfg.load_from == str(path)
    assert set(cfg.default_hooks) == hooks | {'warm_start'}


def test_conversion_errors_are_the_users():
    assert ConversionError.exit_code == 2


def test_a_trunk_of_another_library_and_what_the_objective_learned_are_taken():
    pytest.importorskip('timm')
    cfg = Config.fromfile(CONFIGS / 'auto_assign_r50_fpn_1x.py')
    trunk = dict(type='TimmBackbone', model_name='resnet10t', pretrained=False)
    cfg.model.backbone = dict(trunk, out_indices=(2, 3, 4))
    cfg.model.neck.update(in_channels=[128, 256, 512], start_level=0)
    source, target = MODELS.build(cfg.model), MODELS.build(cfg.model)
    torch.nn.init.normal_(source.loss.center_prior.mean)
    state = started(target, checkpoint(source, STDS['free_anchor']))
    assert state.keys() == source.state_dict().keys()
    for name, value in source.state_dict().items():
        assert torch.equal(state[name], value), name
