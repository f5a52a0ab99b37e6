"""Killed in any way, at any moment: the same command ends in the same bits."""

import multiprocessing
import random
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from freeanchor.engine.checkpoint_folder import CheckpointFolder

from .comparing import differences
from .runs import (
    Run,
    finish,
    kill,
    launch,
    run,
    start,
    state_of,
    toy_config,
    wait_for,
)

OFTEN: dict[str, Any] = dict(
    default_hooks=dict(checkpoint=dict(every_minutes=0.002, max_keep_ckpts=-1)),
    train_dataloader=dict(num_workers=2, persistent_workers=True),
    optim_wrapper=dict(accumulative_counts=3),
    custom_hooks=[dict(type='EMAHook', momentum=0.1)],
)


def last_state(work_dir: Path) -> dict[str, Any]:
    return state_of(work_dir / 'epoch_3.pth')


def folder_of(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


def text_since(run: Run, start: int) -> str:
    return run.output.read_text()[start:]


def kill_at(config: Path, sign: str, delay: float) -> bool:
    """Start, wait for a word of the output, then ``delay`` seconds, then kill.

    Returns:
        Whether it still ran.
    """
    output = config.parent / 'output.txt'
    before = len(output.read_text()) if output.exists() else 0
    process = start(config, '--resume')
    wait_for(
        lambda: sign in text_since(process, before) or process.poll() is not None, 90
    )
    time.sleep(delay)
    still = process.poll() is None
    kill(process)
    return still


def test_killed_at_random_moments(tmp_path):
    """T1: in steps, in validation, while saving; two workers, accumulation, EMA."""
    calm = toy_config(folder_of(tmp_path, 'calm'), **OFTEN)
    assert run(calm)[0] == 0
    killed = toy_config(folder_of(tmp_path, 'killed'), **OFTEN)
    generator = random.Random(0)
    signs = ['Epoch(train) [1][ 5/10]', 'Saved', 'Epoch(val) [', 'Saved']
    kills = sum(kill_at(killed, x, generator.uniform(0, 0.4)) for x in signs)
    assert kills >= 3
    code, text = run(killed, '--resume')
    assert code == 0, text[-3000:]
    states = [last_state(x.parent / 'work') for x in (calm, killed)]
    assert differences(*states) == []
    best = [sorted(x.parent.glob('work/best_*')) for x in (calm, killed)]
    assert [x.name for x in best[0]] == [x.name for x in best[1]]


def test_an_iteration_based_run_is_killed(tmp_path):
    """T1: with a sampler without end."""
    options: dict[str, Any] = dict(
        train_cfg=dict(
            _delete_=True, type='IterBasedTrainLoop', max_iters=30, val_interval=12
        ),
        log_processor=dict(by_epoch=False),
        train_dataloader=dict(
            sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True)
        ),
        default_hooks=dict(
            checkpoint=dict(by_epoch=False, interval=7, every_minutes=0.002)
        ),
    )
    calm = toy_config(folder_of(tmp_path, 'calm'), **options)
    assert run(calm)[0] == 0
    killed = toy_config(folder_of(tmp_path, 'killed'), **options)
    assert kill_at(killed, 'Saved', 0.3)
    code, text = run(killed, '--resume')
    assert code == 0, text[-3000:]
    states = [state_of(x.parent / 'work' / 'iter_30.pth') for x in (calm, killed)]
    assert differences(*states) == []


@pytest.mark.slow
def test_two_processes_are_killed(tmp_path):
    """T1: with running statistics and random numbers of their own."""
    options: dict[str, Any] = dict(
        default_hooks=dict(checkpoint=dict(every_minutes=0.01, max_keep_ckpts=-1)),
        train_cfg=dict(max_epochs=6),
        train_dataloader=dict(batch_size=2),
        optim_wrapper=dict(accumulative_counts=3),
    )
    calm = toy_config(folder_of(tmp_path, 'calm'), **options)
    code, text = finish(launch(calm), 300)
    assert code == 0, text[-3000:]
    killed = toy_config(folder_of(tmp_path, 'killed'), **options)
    for sign in ('Saved', 'Epoch(val) ['):
        process = launch(killed, '--resume')
        before = len(process.output.read_text())
        wait_for(lambda: sign in text_since(process, before), 120)  # noqa: B023
        kill(process)
    code, text = finish(launch(killed, '--resume'), 300)
    assert code == 0, text[-3000:]
    names = [x.parent / 'work' / 'epoch_6.pth' for x in (calm, killed)]
    assert differences(*map(state_of, names)) == []


class Weights(torch.nn.Module):
    """60 MB, so that a kill finds a file half written."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(15_000_000))


def save_again_and_again(folder: Path) -> None:
    """What a process does that is killed while it saves."""
    checkpoints = CheckpointFolder(folder)
    found = checkpoints.newest_intact()
    iteration = found.iter if found else 0
    weights = Weights().state_dict()
    while True:
        iteration += 1
        meta = dict(iter=iteration, epoch=0)
        state = dict(meta=meta, state_dict=weights)
        checkpoints.write(f'iter_{iteration}.pth', state)
        best = f'best_ap_iter_{iteration}.pth'
        checkpoints.write(best, state, 'best')
        checkpoints.keep(1, [best])


@pytest.mark.parametrize(
    'kills', [4, pytest.param(20, marks=pytest.mark.slow)], ids='{} kills'.format
)
def test_killed_while_saving_a_checkpoint_is_always_there(tmp_path, kills):
    """T2: also while the best one is written, with as few kept as may be."""
    context = multiprocessing.get_context('fork')
    generator = random.Random(kills)
    last = torn = 0
    for _ in range(kills):
        process = context.Process(target=save_again_and_again, args=(tmp_path,))
        process.start()
        wait_for(lambda: list(tmp_path.glob('.*.partial')), 60)
        time.sleep(generator.uniform(0, 1.5))
        process.kill()
        process.join()
        checkpoints = CheckpointFolder(tmp_path)
        torn += len(checkpoints.clean())
        found = checkpoints.newest_intact()
        if found is not None:
            # At most what was being written is lost.
            assert found.damaged == ()
            assert found.iter >= last
            last = found.iter
            state = torch.load(found.path, weights_only=True)
            assert state['meta']['iter'] == found.iter
    assert last > 0  # one of them lived long enough to save
    assert not list(tmp_path.glob('.*.partial'))
