"""The watchdog knows how long what may take, and what a process reads."""

import os
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from freeanchor.engine.open_files import describe_process, files_read
from freeanchor.engine.signs_of_life import SignsOfLife
from freeanchor.engine.watchdog import WatchdogHook, _Guard
from tests.faults.runs import wait_for

linux_only = pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')


def runner_of(tmp_path: Path, num_validation: int = 3) -> Any:
    return SimpleNamespace(
        iter=0, rank=0, world_size=1, work_dir=str(tmp_path), train_loop=object(),
        val_dataloader=range(num_validation),
    )  # fmt: skip


def watchdog(*steps: float) -> WatchdogHook:
    hook = WatchdogHook(min_seconds=10, factor=20, slow_seconds=100)
    hook._steps.extend(steps)
    return hook


@pytest.mark.parametrize(
    ('steps', 'limit'), [((), 10), ((0.1, 0.1), 10), ((2, 3, 900), 60)]
)
def test_a_step_may_take_many_times_the_median(steps: tuple, limit: float) -> None:
    assert watchdog(*steps).limit() == limit


def test_only_single_steps_have_the_short_limit(tmp_path: Path) -> None:
    hook, runner = watchdog(0.1), runner_of(tmp_path)
    moments: list[tuple[Any, float]] = [
        (lambda: hook.before_train_epoch(runner), 100),
        (lambda: hook.before_train_iter(runner, 0), 10),
        (lambda: hook.after_train_iter(runner, 0), 10),
        (lambda: hook.saving(runner), 100),
        (lambda: hook.settled(runner, 'iteration'), 10),
        (lambda: hook.after_train_epoch(runner), 100),
        (lambda: hook.settled(runner, 'epoch'), 100),
        (lambda: hook.before_val_epoch(runner), 100),
        (lambda: hook.after_val_iter(runner, 0), 10),
        (lambda: hook.after_val_iter(runner, 2), 100),
        (lambda: hook.after_val_epoch(runner), 100),
    ]
    for moment, limit in moments:
        moment()
        assert hook.limit() == limit, hook._doing


def test_the_first_step_of_all_may_be_slow(tmp_path: Path) -> None:
    hook = watchdog()
    hook.before_train_iter(runner_of(tmp_path), 0)
    assert hook.limit() == 100


def guard_of(tmp_path: Path, seconds: float) -> tuple[_Guard, Any, list[float]]:
    runner = runner_of(tmp_path)
    hook = WatchdogHook(min_seconds=seconds, slow_seconds=seconds)
    guard = _Guard(hook, runner, hook._over)
    ends: list[float] = []
    guard._end = lambda quiet: (ends.append(quiet), hook._over.set())  # type: ignore
    return guard, runner, ends


class Loop:
    def run(self, guard: _Guard, sleep: float) -> None:
        watch = threading.Thread(target=guard.watch)
        watch.start()
        time.sleep(sleep)
        guard.over.set()
        watch.join()


def test_a_loop_that_stands_still_is_ended(tmp_path: Path) -> None:
    guard, runner, ends = guard_of(tmp_path, 0.2)
    runner.train_loop = Loop()
    runner.train_loop.run(guard, 2.0)
    assert len(ends) == 1


def test_a_loop_that_was_left_by_an_error_is_none_of_its_business(
    tmp_path: Path,
) -> None:
    guard, runner, ends = guard_of(tmp_path, 0.2)
    runner.train_loop = Loop()
    Loop().run(guard, 1.0)  # another one
    assert not ends


@pytest.mark.parametrize(('looks', 'is_ended'), [(11, False), (12, True)])
def test_time_in_which_nothing_runs_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int, is_ended: bool
) -> None:
    """The process looks every 3 s, and is stopped for hours after each look."""
    guard, runner, ends = guard_of(tmp_path, 60)
    runner.train_loop = self = object()
    hours, ticks = count(0, 10000), iter([False] * looks + [True])
    clock = SimpleNamespace(monotonic=lambda: float(next(hours)))
    monkeypatch.setattr('freeanchor.engine.watchdog.time', clock)
    guard.over.wait = lambda _: bool(next(ticks)) or bool(ends)  # type: ignore
    guard.watch()
    assert bool(ends) == is_ended
    del self


@linux_only
@pytest.mark.parametrize('code', ['open(path)', 'os.read(os.open(path, os.O_RDWR), 1)'])
def test_a_process_that_waits_for_a_file_is_seen_to(tmp_path: Path, code: str) -> None:
    path = tmp_path / 'pipe with a name'
    os.mkfifo(path)
    program = f'import os; path = {str(path)!r}; {code}'
    process = subprocess.Popen([sys.executable, '-c', program])
    try:
        wait_for(lambda: str(path) in '\n'.join(describe_process(process.pid)), 20)
    finally:
        process.kill()
        process.wait()
    assert describe_process(process.pid) == []


@linux_only
def test_logs_are_not_read(tmp_path: Path) -> None:
    read, written = tmp_path / 'image', tmp_path / 'log'
    read.touch()
    with read.open(), written.open('w'):
        names = files_read(os.getpid())
    assert str(read) in names
    assert str(written) not in names


def test_a_process_that_gives_no_sign_is_named(tmp_path: Path) -> None:
    first, second = (SignsOfLife(tmp_path, rank, 3, limit=0.2) for rank in (0, 1))
    first.give(7, 'step')
    time.sleep(0.15)
    second.give(8, 'waiting for a batch')
    silent, alive, unknown = second.describe()
    assert silent.startswith('rank 0: DOES NOT ANSWER')
    assert silent.endswith('after iteration 7, step')
    assert alive == 'rank 1: alive, after iteration 8, waiting for a batch'
    assert unknown == 'rank 2: no sign of life'
    first.withdraw()
    second.withdraw()
    assert not list(tmp_path.iterdir())


def test_one_process_alone_writes_no_signs(tmp_path: Path) -> None:
    signs = SignsOfLife(tmp_path, 0, 1, limit=1)
    signs.give(1, 'step')
    assert signs.describe() == []
    assert not list(tmp_path.iterdir())
