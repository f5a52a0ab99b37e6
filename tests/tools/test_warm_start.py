"""``tools/train.py --warm-start``, as a user runs it."""

import sys

import torch
from mmengine.config import Config

from freeanchor.engine import read_checkpoint
from freeanchor.engine.conversion import build_untrained
from tests.test_tools import TOOLS, recipe, run

__all__ = ['recipe']  # the fixture


def test_a_training_begins_with_a_retinanet_of_other_classes(recipe, tmp_path):
    cfg = Config.fromfile(recipe)
    cfg.model.bbox_head.num_classes = 5
    state = build_untrained(cfg.model.to_dict()).state_dict()
    meta = dict(box_stds=[1.0, 1.0, 1.0, 1.0])
    torch.save(dict(meta=meta, state_dict=state), tmp_path / 'retinanet.pth')

    command = (sys.executable, TOOLS / 'train.py', recipe, '--work-dir', 'work')
    options = '--cfg-options', 'optim_wrapper.optimizer.lr=0', 'val_dataloader=None'
    options += ('val_cfg=None', 'val_evaluator=None')
    options += ('default_hooks.checkpoint.save_best=None', 'train_cfg.val_interval=9')
    done = run(*command, '--warm-start', 'retinanet.pth', *options, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    text = done.stdout
    assert 'warm start from retinanet.pth, a file of freeanchor' in text
    assert 'box branch rescaled from stds (1.0, 1.0, 1.0, 1.0)' in text
    assert 'left out, another shape: bbox_head.retina_cls.weight (45,' in text

    (path,) = (tmp_path / 'work').glob('epoch_1.pth')
    trained = read_checkpoint(path)['state_dict']  # without a learning rate
    name = 'backbone.layer4.1.conv2.weight'
    assert torch.equal(trained[name], state[name])
    scaled = state['bbox_head.retina_reg.weight'].reshape(9, 4, -1)
    scaled = scaled * torch.tensor([10.0, 10.0, 5.0, 5.0])[:, None]
    found = trained['bbox_head.retina_reg.weight'].reshape(9, 4, -1)
    torch.testing.assert_close(found, scaled)
    assert len(trained['bbox_head.retina_cls.weight']) == 18


def test_a_file_that_is_not_there_is_named(recipe, tmp_path):
    command = (sys.executable, TOOLS / 'train.py', recipe, '--warm-start', 'no.pth')
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 2
    assert 'there is no checkpoint no.pth' in done.stdout
