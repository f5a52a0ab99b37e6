"""A run that is asked to stop saves first, and goes on as if nothing had been."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .comparing import differences
from .runs import finish, run, start, state_of, toy_config, wait_for


def slow_toy(folder: Path, seconds: float = 0.5) -> Path:
    """A toy run whose validations can be interrupted, with workers."""
    folder.mkdir()
    return toy_config(
        folder,
        custom_imports=dict(imports=['tests.faults.toy', 'tests.faults.slow']),
        custom_hooks=[
            dict(
                type='SlowValidationHook',
                seconds=seconds,
                marker=str(folder / 'marker'),
            )
        ],
        train_dataloader=dict(num_workers=2, persistent_workers=True),
        train_cfg=dict(max_epochs=2),
        # After each step: a signal comes while the state is saved, or nearly so.
        default_hooks=dict(checkpoint=dict(every_minutes=0.0001)),
    )


def alive(group: int) -> bool:
    """Whether any process of a group is left that is not about to be buried."""
    text = subprocess.run(
        ['ps', '-o', 'stat=', '-g', str(group)], capture_output=True, text=True
    ).stdout
    return any(not line.startswith('Z') for line in text.split())


@pytest.mark.slow
def test_stopped_in_training_and_in_validation_a_run_ends_as_if_it_had_not_been(
    tmp_path,
):
    """T7: SIGINT, SIGTERM, SIGUSR2 give 75, and the bits are the same in the end."""
    calm = slow_toy(tmp_path / 'calm')
    code, text = run(calm)
    assert code == 0, text

    config = slow_toy(tmp_path / 'stopped')
    folder = config.parent
    process = start(config)
    wait_for(lambda: 'Epoch(train)' in process.output.read_text())
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C: the workers get it too
    code, text = finish(process)
    assert code == 75, text
    assert 'Traceback' not in text
    assert '--resume' in text.splitlines()[-1]
    assert not alive(process.pid)

    marker = folder / 'marker'
    marker.unlink(missing_ok=True)
    process = start(config, '--resume')
    wait_for(marker.exists)
    os.kill(process.pid, signal.SIGTERM)
    code, text = finish(process)
    assert code == 75, text
    assert 'Traceback' not in text

    process = start(config, '--resume')
    wait_for(lambda: 'iter_15.pth' in process.output.read_text())
    os.kill(process.pid, signal.SIGUSR2)
    code, text = finish(process)
    assert code == 75, text
    assert 'Traceback' not in text

    code, text = run(config, '--resume')
    assert code == 0, text
    states = [state_of(x.parent / 'work' / 'epoch_2.pth') for x in (calm, config)]
    assert differences(*states) == []


def test_before_the_first_step_a_signal_ends_the_run_and_leaves_nothing(tmp_path):
    """T7: while the run is built."""
    config = toy_config(tmp_path)
    process = start(config)
    wait_for((tmp_path / 'work' / 'run.lock').exists)
    os.kill(process.pid, signal.SIGTERM)
    code, text = finish(process)
    assert code == 75, text
    assert 'Traceback' not in text
    assert not (tmp_path / 'work' / 'run.lock').exists()


def test_a_second_ctrl_c_ends_a_run_at_once(tmp_path):
    """T7: although the step that the first one waits for takes a minute."""
    config = slow_toy(tmp_path / 'run', seconds=60)
    process = start(config)
    wait_for((config.parent / 'marker').exists)
    os.killpg(process.pid, signal.SIGINT)
    wait_for(lambda: 'SIGINT: saving and stopping' in process.output.read_text())
    time.sleep(1.1)  # sooner it may be the same one, handed on by a launcher
    os.killpg(process.pid, signal.SIGINT)
    code, text = finish(process, 30)
    assert code == 130, text
    assert 'SIGINT: ending at once.' in text
    wait_for(lambda: not alive(process.pid))
