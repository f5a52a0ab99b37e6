"""A file system that is really full, where one can be mounted."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from freeanchor.engine.checkpoint_folder import CheckpointFolder

from .runs import finish, start, toy_config, wait_for


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Three MB in memory; a checkpoint of the toy has 0.23."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip('mounting needs root; the injected failure is tested besides')
    yield folder
    subprocess.run(['umount', '-l', str(folder)], check=True)


def test_a_full_disk_ends_neither_the_run_nor_its_checkpoints(tmp_path, small_disk):
    """T6: it warns each time, goes on, and saves again when there is room."""
    config = toy_config(
        tmp_path,
        work_dir=str(small_disk / 'work'),
        train_cfg=dict(max_epochs=60, val_interval=100),
        default_hooks=dict(checkpoint=dict(interval=1, max_keep_ckpts=2)),
    )
    process = start(config)
    work = small_disk / 'work'
    wait_for(lambda: (work / 'epoch_2.pth').exists(), 90)
    filler = small_disk / 'filler'
    with filler.open('wb', buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    wait_for(lambda: process.output.read_text().count('was not saved') >= 2, 60)
    found = CheckpointFolder(work).newest_intact()
    assert found is not None
    assert found.damaged == ()
    filler.unlink()
    code, text = finish(process)
    assert code == 0, text[-3000:]
    assert 'No space left on device' in text
    assert f'{work}/epoch_' in text
    assert CheckpointFolder(work).newest_intact().path.name == 'epoch_60.pth'
    assert shutil.disk_usage(small_disk).total < 4e6
