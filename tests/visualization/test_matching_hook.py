"""The matching, drawn while a detector is trained."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from freeanchor.datasets.shapes import write_shapes
from freeanchor.engine import load_config
from freeanchor.engine.command_line import build_runner, set_launch
from freeanchor.engine.exit_codes import USER_ERROR, exit_code_of
from freeanchor.visualization import MatchingHook
from freeanchor.visualization.matched_objects import first_sample

CONFIG = Path(__file__).parents[2] / 'configs' / 'free_anchor_r18_fpn_shapes.py'
HOOKS = [
    dict(type='MatchingHook', num_images=1, max_objects=1),
    dict(type='ValidationLossHook'),
]


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Train two epochs on four pictures; gives the runner."""
    monkeypatch.chdir(tmp_path)
    write_shapes('data/shapes', num_train=4, num_val=2)

    def run(name, hooks=(), **changes):
        cfg = load_config(CONFIG, [])
        cfg.merge_from_dict(
            {
                'train_dataloader.batch_size': 2,
                'train_cfg': dict(max_epochs=2, val_interval=1),
                'default_hooks.logger.interval': 1,
                **changes,
            }
        )
        # Nobody reads checkpoints here.
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=100)
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.update(num_workers=0, persistent_workers=False)
        cfg.default_hooks.pop('visualization')
        cfg.custom_hooks = [*cfg.get('custom_hooks', []), *hooks]
        set_launch(cfg, 'none', name)
        runner = build_runner(cfg)
        runner.train()
        return runner

    return run


def lines(runner) -> list[dict]:
    (path,) = Path(runner.work_dir).glob('*/vis_data/scalars.json')
    return [json.loads(x) for x in path.read_text().splitlines()]


def test_training_is_bit_for_bit_what_it_is_without_the_hooks(train):
    plain, watched = train('plain'), train('watched', HOOKS)
    weights = plain.model.state_dict()
    for name, x in watched.model.state_dict().items():
        assert torch.equal(x, weights[name]), name
    (path,) = Path(watched.log_dir, 'matching').iterdir()
    with Image.open(path) as picture:
        assert picture.height > 600  # a row for each of two validations
    validated = [x for x in lines(watched) if 'val_loss' in x]
    assert [x['step'] for x in validated] == [1, 2]
    for line in validated:
        terms = line['val_positive_bag_loss'] + line['val_negative_bag_loss']
        assert line['val_loss'] == pytest.approx(terms)
    assert not any('val_loss' in x for x in lines(plain))


def test_the_validation_loss_is_that_of_the_model_on_the_set(train):
    runner = train('run', HOOKS[1:], **{'val_dataloader.batch_size': 2})
    model = runner.model.eval()
    (batch,) = runner.val_dataloader
    with torch.no_grad():
        expected = model(**model.data_preprocessor(batch, False), mode='loss')
    last = lines(runner)[-1]
    for name, value in expected.items():
        assert last[f'val_{name}'] == pytest.approx(float(value), rel=1e-5)


NO_OBJECTS = {
    'val_dataloader.dataset.pipeline': [
        dict(type='LoadImageFromFile'),
        dict(type='PackDetInputs'),
    ]
}


@pytest.mark.parametrize('hook', HOOKS, ids=lambda x: x['type'])
def test_a_validation_without_objects_is_refused_before_a_step(train, hook):
    with pytest.raises(ValueError, match='LoadAnnotations') as error:
        train('run', [hook], **NO_OBJECTS)
    assert exit_code_of(error.value) == USER_ERROR
    assert not list(Path('run').glob('*/vis_data/scalars.json'))


def test_a_loss_without_bags_is_refused_before_a_step(train):
    loss = dict(_delete_=True, type='RetinaLoss')
    with pytest.raises(ValueError, match='RetinaLoss') as error:
        train('run', HOOKS[:1], **{'model.loss': loss})
    assert exit_code_of(error.value) == USER_ERROR
    assert not list(Path('run').glob('*/vis_data/scalars.json'))


def test_looking_at_a_sample_leaves_random_numbers_as_they_are():
    class Noise(torch.utils.data.Dataset):
        def __getitem__(self, index):
            return random.random(), np.random.rand(), torch.rand(1)

    def numbers():
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)
        return random.random(), np.random.rand(), float(torch.rand(1))

    expected = numbers()
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    first_sample(Noise())
    assert (random.random(), np.random.rand(), float(torch.rand(1))) == expected


@pytest.mark.parametrize('name', ['num_images', 'max_objects', 'max_rows'])
def test_numbers_below_their_least_are_refused(name):
    with pytest.raises(ValueError, match=f'{name}=0'):
        MatchingHook(**{name: 0})
