"""Several processes: what becomes of them when one, or the launcher, ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from .runs import ROOT, Run, finish, start_command, state_of, toy_config, wait_for

pytestmark = pytest.mark.slow
FAR = ('--cfg-options', 'train_cfg.max_epochs=500')


def launch(config: Path, *args: str, **env: str) -> Run:
    """Two processes under tools/dist_train.sh."""
    command = ['bash', str(ROOT / 'tools' / 'dist_train.sh'), str(config), '2', *args]
    env = dict(PYTHON=sys.executable, CUDA_VISIBLE_DEVICES='', **env)
    return start_command(command, config.parent, **env)


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


def is_gone(pid: int) -> bool:
    state = subprocess.run(
        ['ps', '-o', 'stat=', '-p', str(pid)], capture_output=True, text=True
    ).stdout
    return not state.strip() or state.startswith('Z')


def test_a_signal_to_one_process_stops_all_with_their_state_saved(tmp_path):
    """T7 on two processes."""
    launcher = launch(toy_config(tmp_path), *FAR)
    processes = processes_of(launcher)
    os.kill(processes[1], signal.SIGUSR2)
    code, text = finish(launcher)
    assert code == 75, text
    assert 'Traceback' not in text
    assert text.count('the state is saved in') == 1
    assert all(map(is_gone, processes))


def test_a_dead_process_ends_the_others_and_is_named(tmp_path):
    """T21 without restarts: 128 + 9, and one line says why."""
    launcher = launch(toy_config(tmp_path), *FAR)
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
    launcher = launch(toy_config(tmp_path), *FAR)
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
    ends = []
    for name in ('calm', 'killed'):
        (tmp_path / name).mkdir()
        config = toy_config(tmp_path / name, train_cfg=dict(max_epochs=12))
        launcher = launch(config, MAX_RESTARTS='1')
        if name == 'killed':
            os.kill(processes_of(launcher)[1], signal.SIGKILL)
        code, text = finish(launcher)
        assert code == 0, text
        ends.append(state_of(tmp_path / name / 'work' / 'epoch_12.pth'))
    assert 'Resumed from' in text
    calm, killed = (x['state_dict'] for x in ends)
    assert all(torch.equal(calm[key], killed[key]) for key in calm)
