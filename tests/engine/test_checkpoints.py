"""When states are saved, which stay, and what happens when the disk is full."""

import errno
import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer

from freeanchor.engine import CheckpointError, CheckpointHook, ConfigError, durable
from freeanchor.engine.checkpoint_folder import CheckpointFolder
from freeanchor.registry import HOOKS
from tests.processes import run_on_processes

from .lines import EPOCHS, ITERATIONS, runner_of


def saving(**options: Any) -> dict[str, Any]:
    return dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook', **options)))


def checkpoints(folder: Path) -> list[str]:
    return sorted(x.name for x in folder.glob('*.pth'))


def log_of(runner: Any) -> str:
    return next(Path(runner.log_dir).glob('*.log')).read_text()


def test_a_saved_checkpoint_needs_no_class_to_be_allowed(tmp_path):
    runner_of(tmp_path).train()
    path = tmp_path / 'epoch_4.pth'
    assert torch.serialization.get_unsafe_globals_in_checkpoint(path) == []
    checkpoint = torch.load(path, weights_only=True)
    assert {'state_dict', 'optimizer', 'param_schedulers'} <= set(checkpoint)
    logs = checkpoint['message_hub']['log_scalars']['train/loss']
    assert torch.is_tensor(logs['logs']['values'])


def test_a_resumed_run_has_the_log_of_a_straight_one(tmp_path):
    straight = runner_of(tmp_path / 'straight')
    straight.train()
    path = str(tmp_path / 'straight' / 'epoch_2.pth')
    resumed = runner_of(tmp_path / 'resumed', resume=True, load_from=path)
    resumed.train()
    assert 'resumed epoch: 2, iter: 10' in log_of(resumed)
    scalars = straight.message_hub.log_scalars
    assert set(resumed.message_hub.log_scalars) == set(scalars)
    for name in ('train/loss', 'train/lr'):
        history = resumed.message_hub.log_scalars[name]
        assert isinstance(history, HistoryBuffer)
        for got, wanted in zip(history.data, scalars[name].data):
            assert got.dtype == wanted.dtype
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ('options', 'names'),
    [
        (dict(interval=1), ['epoch_1', 'epoch_2', 'epoch_3', 'epoch_4']),
        (dict(interval=1, max_keep_ckpts=3), ['epoch_2', 'epoch_3', 'epoch_4']),
        (dict(interval=1, max_keep_ckpts=1), ['epoch_3', 'epoch_4']),
        (dict(interval=3), ['epoch_3', 'epoch_4']),
        (dict(interval=3, save_last=False), ['epoch_3']),
        (dict(interval=-1), ['epoch_4']),
        (dict(interval=-1, save_last=False), []),
        (dict(interval=9, by_epoch=False), ['iter_18', 'iter_20', 'iter_9']),
    ],
)
def test_what_is_saved_and_what_stays(tmp_path, options, names):
    runner_of(tmp_path, **saving(**options)).train()
    assert checkpoints(tmp_path) == [f'{x}.pth' for x in names]


def test_states_in_between_go_when_newer_ones_are_there(tmp_path):
    runner_of(tmp_path, **saving(interval=1, every_minutes=1e-9)).train()
    names = [f'epoch_{x}.pth' for x in range(1, EPOCHS + 1)]
    assert checkpoints(tmp_path) == [*names, f'iter_{EPOCHS * ITERATIONS}.pth']


class Scores(Hook):
    """Puts a score of its own into the metrics of each epoch."""

    priority = 'VERY_HIGH'

    def __init__(self, *scores: float) -> None:
        self.scores = scores

    def after_val_epoch(self, runner: Any, metrics: dict | None = None) -> None:
        metrics['score'] = self.scores[runner.epoch - 1]


@pytest.mark.parametrize(
    ('rule', 'scores', 'best'),
    [
        (None, (0.1, 0.4, 0.2, float('nan')), 2),
        ('greater', (0.4, 0.4, 0.2, 0.5), 4),
        ('less', (0.4, 0.1, 0.2, 0.5), 2),
    ],
)
def test_the_best_checkpoint_is_kept(tmp_path, rule, scores, best):
    options = saving(interval=-1, save_last=False, save_best='score', rule=rule)
    runner_of(tmp_path, hooks=[Scores(*scores)], **options).train()
    found = [x for x in checkpoints(tmp_path) if x.startswith('best')]
    assert found == [f'best_score_epoch_{best}.pth']
    state = torch.load(tmp_path / found[0], weights_only=True)
    assert state['meta']['epoch'] == best
    kept = state['hooks']['CheckpointHook']['best']['score']
    assert kept == dict(score=scores[best - 1], file=found[0])


def test_a_metric_that_is_not_there_is_named(tmp_path):
    runner = runner_of(tmp_path, **saving(interval=1, save_best='bbox_mAP'))
    runner.train()
    assert "save_best='bbox_mAP' is none of the metrics: spread" in log_of(runner)


def test_a_wrong_rule_is_named():
    with pytest.raises(ValueError, match="rule is 'more': write one of greater, less"):
        CheckpointHook(rule='more')


def fail_at(names: set[str]) -> Callable:
    """A write that finds the disk full for some files."""
    write = durable.write_atomically

    def write_or_fail(path: Path, content: Callable) -> str:
        if Path(path).name in names:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    return write_or_fail


FOLDER = 'freeanchor.engine.checkpoint_folder.write_atomically'


def test_a_full_disk_does_not_end_the_run(tmp_path, monkeypatch):
    """T6: each time it is said, what was there stays, and later saves work."""
    monkeypatch.setattr(FOLDER, fail_at({'epoch_2.pth', 'epoch_3.pth'}))
    runner = runner_of(tmp_path, **saving(interval=1, max_keep_ckpts=1))
    runner.train()
    assert checkpoints(tmp_path) == ['epoch_1.pth', 'epoch_4.pth']
    text = log_of(runner)
    assert text.count('was not saved ([Errno 28] No space left on device)') == 2
    assert f'{tmp_path / "epoch_2.pth"} was not saved' in text
    assert 'MB are free' in text
    assert CheckpointFolder(tmp_path).newest_intact().path.name == 'epoch_4.pth'


def test_a_run_whose_last_state_is_lost_does_not_end_well(tmp_path, monkeypatch):
    monkeypatch.setattr(FOLDER, fail_at({'epoch_4.pth'}))
    with pytest.raises(CheckpointError, match='last state could not be saved'):
        runner_of(tmp_path, **saving(interval=1)).train()
    assert CheckpointFolder(tmp_path).newest_intact().path.name == 'epoch_3.pth'


class Deletion(Hook):
    """Deletes the work folder after the second epoch."""

    def after_train_epoch(self, runner: Any) -> None:
        if runner.epoch == 1:
            shutil.rmtree(runner.work_dir)


def test_a_run_whose_folder_is_deleted_goes_on_and_does_not_end_well(tmp_path):
    """T24."""
    runner = runner_of(tmp_path / 'run', hooks=[Deletion()], **saving(interval=1))
    with pytest.raises(CheckpointError, match='last state could not be saved'):
        runner.train()
    assert runner.epoch == EPOCHS


def test_a_best_one_that_could_not_be_saved_does_not_replace_the_one_before(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(FOLDER, fail_at({'best_score_epoch_2.pth'}))
    options = saving(interval=1, save_best='score')
    runner_of(tmp_path, hooks=[Scores(0.1, 0.4, 0.2, 0.1)], **options).train()
    best = [x for x in checkpoints(tmp_path) if x.startswith('best')]
    assert best == ['best_score_epoch_3.pth']


def test_epochs_are_not_counted_where_there_are_none(tmp_path):
    runner = runner_of(tmp_path, train_cfg=dict(by_epoch=False, max_iters=3))
    with pytest.raises(ConfigError, match='set by_epoch=False there'):
        runner.train()


def test_the_best_is_found_anew_where_its_file_is_gone(tmp_path):
    options = saving(interval=1, save_best='score')
    runner_of(tmp_path, hooks=[Scores(0.1, 0.4, 0.3, 0.5)], **options).train()
    assert not (tmp_path / 'best_score_epoch_2.pth').exists()
    path = str(tmp_path / 'epoch_3.pth')
    again = runner_of(
        tmp_path,
        resume=True,
        load_from=path,
        hooks=[Scores(0.1, 0.4, 0.3, 0.2)],
        **options,
    )
    again.train()
    assert (tmp_path / 'best_score_epoch_3.pth').exists()
    assert 'best_score_epoch_2.pth is gone' in log_of(again)


def _scores_with_a_full_disk(rank: int, processes: int, folder: str) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FOLDER, fail_at({'best_score_epoch_2.pth', 'epoch_4.pth'}))
        options = saving(interval=1, save_best='score')
        scores = Scores(0.3, 0.5, 0.4, 0.1)
        runner = runner_of(Path(folder), hooks=[scores], **options)
        try:
            runner.train()
        except CheckpointError as error:
            return [runner.iter, str(error)]
    return [runner.iter, '']


def test_processes_agree_on_what_was_not_saved(tmp_path):
    job = functools.partial(_scores_with_a_full_disk, folder=str(tmp_path))
    first, second = run_on_processes(job, 2)
    assert first == second
    assert 'last state could not be saved' in first[1]
    best = [x for x in checkpoints(tmp_path) if x.startswith('best')]
    assert best == ['best_score_epoch_3.pth']


def test_a_loop_that_cannot_be_resumed_is_refused(tmp_path):
    loop = dict(type='mmengine.EpochBasedTrainLoop', max_epochs=1)
    with pytest.raises(ConfigError, match='a loop that cannot be resumed'):
        runner_of(tmp_path, train_cfg=loop).train()


def test_a_checkpoint_of_mmengines_own_hook_can_be_resumed(tmp_path):
    # Without noise between epochs, which only our checkpoints keep.
    quiet: dict[str, Any] = dict(model=dict(type='NoisyLine', dropout=0.0))
    straight = runner_of(
        tmp_path / 'theirs',
        default_hooks=dict(checkpoint=dict(type='mmengine.CheckpointHook', interval=1)),
        **quiet,
    )
    straight.train()
    path = tmp_path / 'theirs' / 'epoch_2.pth'
    unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    assert 'mmengine.logging.history_buffer.HistoryBuffer' in unsafe
    resumed = runner_of(tmp_path / 'ours', resume=True, load_from=str(path), **quiet)
    resumed.train()
    assert 'but not bit for bit' in log_of(resumed)
    wanted = straight.model.state_dict()
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name


def test_every_hook_that_remembers_has_a_state():
    """A memory that a checkpoint does not hold makes a resumed run another one.

    The list on the right says, for each of our hooks without a state, why what
    it keeps does not matter.
    """
    harmless = {
        'ClassCheckHook': 'looks once, when a run begins',
        'DetVisualizationHook': 'counts pictures of one validation',
        'ProgressLoggerHook': 'a progress bar',
        'StopHook': 'a wish to stop, of this process',
        'SummaryHook': 'text for people',
        'WatchdogHook': 'the pace of this process',
    }
    config = Config.fromfile('configs/_base_/runtime/default.py')
    ours = [
        HOOKS.get(x['type'])
        for x in config.default_hooks.values()
        if HOOKS.get(x['type']).__module__.startswith('freeanchor')
    ]
    without = {x.__name__ for x in ours if not hasattr(x, 'state_dict')}
    assert without <= set(harmless), without - set(harmless)
