"""A work folder has one run, and a run that is there is not overwritten."""

import hashlib
from pathlib import Path

from .runs import kill, run, start, toy_config, wait_for


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of the checkpoints of a folder, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob('*.pth')
    }


def test_a_second_job_is_refused_and_a_dead_one_is_taken_over(tmp_path):
    """T10 and T9: the owner is named, and nothing is overwritten."""
    # Long enough to outlive the job that is refused; the rest of it is cut off.
    config = toy_config(tmp_path, train_cfg=dict(max_epochs=1000, val_interval=1000))
    work = tmp_path / 'work'
    first = start(config)
    wait_for((work / 'epoch_1.pth').exists)
    code, text = run(config, '--resume')
    assert code == 2
    assert f'is in use by process {first.pid} on ' in text
    assert first.poll() is None

    kill(first)
    assert (work / 'run.lock').exists()
    before = hashes(work)
    code, text = run(config)
    assert code == 2
    error = text.splitlines()[-1]
    assert '--resume' in error
    assert '--fresh' in error
    assert f'of process {first.pid}' in text  # taken over, and given back
    assert not (work / 'run.lock').exists()
    assert hashes(work) == before
