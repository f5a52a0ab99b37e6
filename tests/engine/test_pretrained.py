"""A network starts from a file, and says what it took from it."""

import logging

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from mmengine.registry import DefaultScope
from torch import nn

from freeanchor.engine import CheckpointError, Pretrained
from freeanchor.registry import SCOPE


class Trunk(BaseModule):
    def __init__(self, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.conv = nn.Conv2d(3, 2, 1)
        self.norm = nn.BatchNorm2d(2)


@pytest.fixture
def log(caplog, monkeypatch) -> pytest.LogCaptureFixture:
    logger = MMLogger.get_instance('pretrained')
    monkeypatch.setattr(MMLogger, 'get_current_instance', lambda: logger)
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def init_weights(module: BaseModule) -> None:
    with DefaultScope.overwrite_default_scope(SCOPE):
        module.init_weights()


def saved(path, weights, prefix=''):
    torch.save({prefix + name: tensor for name, tensor in weights.items()}, path)
    return str(path)


def test_a_classifier_gives_its_trunk_without_a_warning(tmp_path, log):
    theirs = Trunk().state_dict()
    file = saved(tmp_path / 'a.pth', {**theirs, 'fc.weight': torch.ones(5)})
    module = Trunk(dict(type='Pretrained', checkpoint=file))
    init_weights(module)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, theirs[name])
    text = f'7 of 7 tensors loaded from {file}; not used: fc.weight'
    assert text in log.messages
    assert not [x for x in log.records if x.levelno > logging.INFO]


@pytest.mark.parametrize('prefix', ['backbone.', 'backbone'])
def test_a_part_of_a_detector_is_taken_by_prefix(prefix, tmp_path):
    theirs = Trunk().state_dict()
    file = saved(tmp_path / 'a.pth', theirs, 'backbone.')
    module = Trunk(dict(type='Pretrained', checkpoint=file, prefix=prefix))
    init_weights(module)
    assert torch.equal(module.conv.weight, theirs['conv.weight'])


def test_a_prefix_that_is_not_there_is_named_with_what_is(tmp_path):
    file = saved(tmp_path / 'a.pth', Trunk().state_dict(), 'trunk.')
    with pytest.raises(CheckpointError, match=r"'backbone\.'; there are trunk\.conv"):
        Pretrained(file, prefix='backbone.')(Trunk())


def test_a_file_of_which_nothing_fits_is_refused_with_both_sides(tmp_path):
    file = saved(tmp_path / 'a.pth', dict(stem=torch.ones(1)))
    with pytest.raises(CheckpointError, match=r'has stem; the module has conv\.wei'):
        Pretrained(file)(Trunk())


def test_a_whole_detector_given_for_its_trunk_gets_the_prefix_proposed(tmp_path):
    file = saved(tmp_path / 'a.pth', Trunk().state_dict(), 'backbone.')
    with pytest.raises(CheckpointError, match=r"Did you mean prefix='backbone\.'\?"):
        Pretrained(file)(Trunk())


def test_what_is_missing_or_of_another_shape_is_warned_of(tmp_path, log):
    theirs = Trunk().state_dict()
    del theirs['norm.bias']
    theirs['conv.weight'] = torch.ones(9, 3, 1, 1)
    file = saved(tmp_path / 'a.pth', theirs)
    Pretrained(file)(Trunk())
    warnings = [x.getMessage() for x in log.records if x.levelno == logging.WARNING]
    assert warnings == [
        f'{file} has no norm.bias: not loaded.',
        f'{file} has other shapes: conv.weight (9, 3, 1, 1) for (2, 3, 1, 1): '
        'not loaded.',
    ]


def test_files_from_before_batches_were_counted_are_complete(tmp_path, log):
    theirs = Trunk().state_dict()
    del theirs['norm.num_batches_tracked']
    Pretrained(saved(tmp_path / 'a.pth', theirs))(Trunk())
    assert not [x for x in log.records if x.levelno > logging.INFO]


def test_weights_stay_float32_where_the_file_is_half(tmp_path):
    half = {name: x.half() for name, x in Trunk().state_dict().items()}
    module = Trunk()
    Pretrained(saved(tmp_path / 'a.pth', half))(module)
    assert module.conv.weight.dtype == torch.float32
    assert torch.equal(module.conv.weight, half['conv.weight'].float())


def test_weights_saved_from_several_processes_lose_their_module(tmp_path):
    theirs = Trunk().state_dict()
    module = Trunk()
    Pretrained(saved(tmp_path / 'a.pth', theirs, 'module.'))(module)
    assert torch.equal(module.conv.weight, theirs['conv.weight'])
