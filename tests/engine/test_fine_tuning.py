"""``load_from`` keeps what fits of a detector, and says what does not."""

import logging

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger

from freeanchor.engine import CheckpointError, DetectionRunner, WarmStartHook
from freeanchor.engine.fine_tuning import FineTuningHook, keep_what_fits
from freeanchor.registry import MODELS

from .test_conversion_mmdet import CONFIGS, SMALL


def detector(num_classes=3, **options):
    cfg = Config.fromfile(CONFIGS / 'free_anchor_r50_fpn_1x.py')
    cfg.merge_from_dict(SMALL)
    cfg.merge_from_dict({'model.bbox_head.num_classes': num_classes, **options})
    cfg.model.backbone.init_cfg = None
    return MODELS.build(cfg.model)


class FakeRunner:
    """What the hook reads of a runner."""

    _load_from = 'start.pth'

    def __init__(self, model):
        self.model = model


@pytest.fixture
def said(caplog):
    """Lines of the log."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO)
    yield lambda: [x.getMessage() for x in caplog.records]
    logger.removeHandler(caplog.handler)


def loaded(model, checkpoint):
    FineTuningHook().after_load_checkpoint(FakeRunner(model), checkpoint)
    return checkpoint['state_dict']


def test_all_but_the_classification_is_taken_of_other_classes(said):
    old, new = detector(5), detector(3)
    before = {k: x.clone() for k, x in new.state_dict().items()}
    state = loaded(new, dict(state_dict=old.state_dict()))
    head = {'bbox_head.retina_cls.weight', 'bbox_head.retina_cls.bias'}
    assert state.keys() == before.keys()
    for name, x in state.items():
        source = before if name in head else old.state_dict()
        assert torch.equal(x, source[name]), name
    (line,) = (x for x in said() if 'another shape' in x)
    assert head <= set(line.replace(':', ' ').split())
    assert '(45, 32, 3, 3) for (27, 32, 3, 3)' in line


def test_what_the_file_lacks_and_what_it_has_besides_are_said(said):
    model = detector()
    weights = dict(model.state_dict())
    weights['old.weight'] = weights.pop('neck.fpn_convs.0.conv.bias')
    loaded(model, dict(state_dict=weights))
    text = '\n'.join(said())
    assert 'not in the file: neck.fpn_convs.0.conv.bias' in text
    assert 'of no use here: old.weight' in text


def test_a_file_that_fits_is_one_line(said):
    model = detector()
    loaded(
        model,
        dict(state_dict={f'module.{k}': x for k, x in model.state_dict().items()}),
    )
    number = len(model.state_dict())
    assert said() == [f'{number} of {number} tensors begin as in start.pth']


def test_a_file_of_which_nothing_fits_is_refused():
    with pytest.raises(CheckpointError, match=r'load_from=start\.pth: none'):
        loaded(detector(), dict(state_dict={'fc.weight': torch.ones(2, 2)}))


def test_boxes_in_other_units_are_warned_of(said):
    model = detector()
    meta = dict(box_stds=[1.0, 1.0, 1.0, 1.0])
    loaded(model, dict(meta=meta, state_dict=model.state_dict()))
    assert any('--warm-start instead of load_from rescales' in x for x in said())


@pytest.mark.parametrize(
    ('load_from', 'in_training', 'is_warm', 'expected'),
    [
        ('a.pth', True, False, True),
        (None, True, False, False),
        ('a.pth', False, False, False),  # a test wants all weights
        ('a.pth', True, True, False),
    ],
)
def test_the_hook_is_there_where_a_training_begins(
    load_from, in_training, is_warm, expected
):
    from mmengine.runner import BaseLoop

    runner = object.__new__(DetectionRunner)
    runner._hooks = [WarmStartHook()] if is_warm else []
    runner._load_from = load_from
    runner._train_loop = object.__new__(_Loop) if in_training else dict(max_epochs=1)
    assert isinstance(runner._train_loop, BaseLoop) == in_training
    keep_what_fits(runner)
    assert any(isinstance(x, FineTuningHook) for x in runner.hooks) == expected


def _loop():
    from mmengine.runner import BaseLoop

    class Loop(BaseLoop):
        def run(self):
            """Nothing."""

    return Loop


_Loop = _loop()
