"""Several processes: what becomes of them when one, or the launcher, ends."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from .comparing import differences
from .runs import (
    Run,
    finish,
    is_gone,
    launch,
    start,
    state_of,
    toy_config,
    wait_for,
)

pytestmark = pytest.mark.slow
OFTEN: dict[str, Any] = dict(default_hooks=dict(checkpoint=dict(every_minutes=0.0001)))
FAR = ('--cfg-options', 'train_cfg.max_epochs=500')


def start_ranks(config: Path) -> list[Run]:
    """The same two processes without a launcher, which start sooner."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    return [
        start(
            config, '--launcher', 'pytorch', RANK=str(rank), LOCAL_RANK=str(rank),
            WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=port,
        )
        for rank in range(2)
    ]  # fmt: skip


def folder_of(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


def processes_of(launcher: Run) -> list[int]:
    """The training processes, once they have saved."""
    wait_for(lambda: 'Saved ' in launcher.output.read_text())
    children = Path(f'/proc/{launcher.pid}/task/{launcher.pid}/children').read_text()
    found = []
    for pid in map(int, children.split()):
        command = Path(f'/proc/{pid}/cmdline').read_bytes()
        if b'train.py' in command:
            found.append(pid)
    assert len(found) == 2
    return found


def test_a_signal_to_one_process_stops_all_with_their_state_saved(tmp_path):
    """T7 on two processes."""
    launcher = launch(toy_config(tmp_path, **OFTEN), *FAR)
    processes = processes_of(launcher)
    os.kill(processes[1], signal.SIGUSR2)
    code, text = finish(launcher)
    assert code == 75, text
    assert 'Traceback' not in text
    assert text.count('the state is saved in') == 1
    assert all(map(is_gone, processes))


def test_a_dead_process_ends_the_others_and_is_named(tmp_path):
    """T21 without restarts: 128 + 9, and one line says why."""
    launcher = launch(toy_config(tmp_path, **OFTEN), *FAR)
    processes = processes_of(launcher)
    os.kill(processes[1], signal.SIGKILL)
    code, text = finish(launcher)
    assert code == 137, text
    last = text.strip().splitlines()[-1]
    assert last.startswith(
        f'error: process 1 (pid {processes[1]}) was ended by SIGKILL'
    )
    assert all(map(is_gone, processes))


def test_processes_end_with_their_launcher(tmp_path):
    """T10: nothing trains on, and what was done is saved."""
    launcher = launch(toy_config(tmp_path, **OFTEN), *FAR)
    processes = processes_of(launcher)
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()
    wait_for(lambda: all(map(is_gone, processes)))
    assert f'The launcher (process {launcher.pid}) is gone' in (
        launcher.output.read_text()
    )
    assert list((tmp_path / 'work').glob('iter_*.pth'))
    assert not (tmp_path / 'work' / 'run.lock').exists()


def test_started_again_by_torchrun_a_run_ends_as_if_nothing_had_been(tmp_path):
    """T21: bit for bit."""
    options = dict(train_cfg=dict(max_epochs=4, val_interval=2), **OFTEN)
    calm, killed = (
        toy_config(folder_of(tmp_path, name), **options) for name in ('calm', 'killed')
    )
    ranks = start_ranks(calm)
    launcher = launch(killed, MAX_RESTARTS='1')
    os.kill(processes_of(launcher)[1], signal.SIGKILL)
    for process in (*ranks, launcher):
        code, text = finish(process)
        assert code == 0, text[-3000:]
    assert 'Resumed from' in text
    states = [state_of(x.parent / 'work' / 'epoch_4.pth') for x in (calm, killed)]
    assert differences(*states) == []
