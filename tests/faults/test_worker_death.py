"""A data worker that the system kills costs nothing but a start (T14)."""

import os
import signal
import sys
from pathlib import Path

import pytest

from freeanchor.engine.checkpoint_folder import CheckpointFolder

from .comparing import differences
from .runs import finish, run, start, state_of, toy_config, wait_for


def with_worker(folder: Path) -> Path:
    folder.mkdir()
    return toy_config(
        folder,
        train_cfg=dict(max_epochs=2),
        train_dataloader=dict(num_workers=1, persistent_workers=True),
    )


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_a_killed_worker_is_explained_and_no_step_is_lost(tmp_path):
    """T14: one line says why; resumed, the run ends in the bits of a calm one."""
    calm, killed = (with_worker(tmp_path / x) for x in ('calm', 'killed'))
    code, text = run(calm)
    assert code == 0, text[-3000:]

    process = start(killed)
    children = Path(f'/proc/{process.pid}/task/{process.pid}/children')
    wait_for(lambda: 'Epoch(train) [1][ 5/10]' in process.output.read_text())
    worker = wait_for(lambda: children.read_text().split())[0]
    os.kill(int(worker), signal.SIGKILL)
    code, text = finish(process)
    assert code == 1, text[-3000:]
    assert 'Traceback' not in text
    (line,) = (x for x in text.splitlines() if x.startswith('error: '))
    # Which of the two it is depends on whether a batch of it was under way.
    assert f'data worker (pid {worker})' in line or 'a data worker is gone' in line
    assert 'memory' in line
    assert 'train_dataloader.num_workers' in line
    found = CheckpointFolder(killed.parent / 'work').newest_intact()
    assert found is not None
    assert found.iter >= 5

    code, text = run(killed, '--resume')
    assert code == 0, text[-3000:]
    assert f'iter: {found.iter}\n' in text
    states = [state_of(x.parent / 'work' / 'epoch_2.pth') for x in (calm, killed)]
    assert differences(*states) == []
