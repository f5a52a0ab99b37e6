"""Where a run goes on, and what is said about it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from freeanchor.engine import CheckpointError, ConfigError
from freeanchor.engine.resume import differences
from freeanchor.engine.snapshot import surroundings
from freeanchor.registry import MODELS

from .lines import NoisyLine, runner_of


@MODELS.register_module()
class WideLine(NoisyLine):
    """One more weight than the other, of which one is larger."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.second = nn.Linear(3, 1)


def log_of(runner: Any) -> str:
    return next(Path(runner.log_dir).glob('*.log')).read_text()


def test_an_empty_folder_starts_afresh_and_says_so(tmp_path):
    runner = runner_of(tmp_path, resume=True)
    runner.train()
    assert runner.iter == 20
    assert f'There is no checkpoint in {tmp_path} to resume from' in log_of(runner)


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path):
    """T3."""
    runner_of(tmp_path).train()
    with (tmp_path / 'epoch_4.pth').open('r+b') as file:
        file.truncate(100)
    for path in tmp_path.glob('best_*'):
        path.unlink()
    resumed = runner_of(tmp_path, resume=True)
    resumed.train()
    text = log_of(resumed)
    assert f'{tmp_path / "epoch_4.pth"} has 100 bytes instead of' in text
    assert 'the run goes on from epoch_3.pth, iteration 15' in text
    assert (tmp_path / 'epoch_4.pth').stat().st_size > 100  # written again


def test_where_all_are_damaged_the_run_does_not_start(tmp_path):
    runner_of(tmp_path).train()
    for path in tmp_path.glob('*.pth'):
        path.write_bytes(b'')
    with pytest.raises(CheckpointError, match=r'epoch_4\.pth.*epoch_1\.pth'):
        runner_of(tmp_path, resume=True).train()


def test_weights_of_another_model_are_refused_whole(tmp_path):
    """T12: no tensor is left as it was by chance."""
    runner_of(tmp_path).train()
    wide = dict(type='WideLine')
    runner = runner_of(tmp_path, resume=True, accept=True, model=wide)
    with pytest.raises(ConfigError) as error:
        runner.train()
    text = str(error.value)
    assert 'has no second.weight, second.bias' in text
    assert 'linear.weight (1, 3) instead of (2, 3)' in text
    assert 'load_from' in text


def test_weights_are_no_run_to_resume(tmp_path):
    weights = tmp_path / 'weights.pth'
    torch.save(NoisyLine().state_dict(), weights)
    runner = runner_of(tmp_path / 'run', resume=True, load_from=str(weights))
    with pytest.raises(CheckpointError, match='holds weights, not the state of a run'):
        runner.train()


def test_going_back_moves_later_checkpoints_aside(tmp_path):
    runner_of(tmp_path).train()
    before = (tmp_path / 'epoch_3.pth').read_bytes()
    path = str(tmp_path / 'epoch_2.pth')
    loop = dict(by_epoch=True, max_epochs=2)
    resumed = runner_of(tmp_path, resume=True, load_from=path, train_cfg=loop)
    resumed.train()
    aside = next(tmp_path.glob('old_*'))
    assert (aside / 'epoch_3.pth').read_bytes() == before
    assert not (tmp_path / 'epoch_4.pth').exists()


def test_a_checkpoint_of_another_folder_leaves_this_one_alone(tmp_path):
    runner_of(tmp_path / 'a').train()
    path = str(tmp_path / 'a' / 'epoch_2.pth')
    runner_of(tmp_path / 'b', resume=True, load_from=path).train()
    assert (tmp_path / 'a' / 'epoch_4.pth').exists()
    assert not list((tmp_path / 'a').glob('old_*'))


def test_only_weights_are_taken_unless_a_run_is_resumed(tmp_path):
    runner_of(tmp_path / 'a').train()
    path = str(tmp_path / 'a' / 'epoch_4.pth')
    started = runner_of(tmp_path / 'b', load_from=path)
    started.load_or_resume()
    weights = torch.load(path, weights_only=True)['state_dict']
    assert started.iter == 0
    for name, tensor in started.model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_what_makes_a_run_differ_is_said(tmp_path):
    runner = runner_of(tmp_path)
    same = dict(surroundings=surroundings(), world_size=1)
    other = dict(surroundings={**surroundings(), 'torch': '1.0'}, world_size=8)
    on_cpu = surroundings()['device'] == 'cpu'
    assert differences(same, runner) == [] or not on_cpu
    (text,) = differences(other, runner)
    assert 'torch 1.0 -> ' in text
    assert 'processes 8 -> 1' in text
    assert 'at the same sample' in text
