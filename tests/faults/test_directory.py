"""A work folder has one run, and a run that is there is not overwritten."""

import hashlib
from pathlib import Path

from .runs import kill, run, start, toy_config, wait_for


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of all files of a folder, logs too, by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob('*')
        if path.is_file() and path.name != 'run.lock'
    }


def test_a_second_job_is_refused_and_a_dead_one_is_taken_over(tmp_path):
    """T10 and T9: the owner is named, and nothing is overwritten."""
    # Long enough to outlive the job that is refused; the rest of it is cut off.
    config = toy_config(tmp_path, train_cfg=dict(max_epochs=1000, val_interval=1000))
    work = tmp_path / 'work'
    first = start(config, '--resume')
    wait_for((work / 'epoch_1.pth').exists)
    assert f'Nothing to resume in {work}' in first.output.read_text()
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

    code, text = run(config, '--fresh', '--cfg-options', 'train_cfg.max_epochs=1')
    assert code == 0, text[-3000:]
    (aside,) = (x for x in work.iterdir() if (x / 'epoch_1.pth').exists())
    moved = {x.name for x in aside.glob('*.pth')}
    assert moved == {name for name in before if name.endswith('.pth')}
    assert all(hashes(aside)[name] == before[name] for name in moved)
