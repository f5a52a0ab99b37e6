"""The script of the first command, with a Python that only notes what it is told."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ('given', 'passed'),
    [
        ([], ['--resume']),
        (['--cfg-options', 'train_cfg.max_epochs=1'], None),
    ],
)
def test_its_arguments_are_those_of_training(tmp_path, given, passed):
    python = tmp_path / 'bin' / 'python'
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    python.chmod(0o755)
    subprocess.run(
        ['bash', ROOT / 'tools' / 'quick_start.sh', *given],
        env={**os.environ, 'VIRTUAL_ENV': str(tmp_path)},
        check=True,
        capture_output=True,
    )
    installed, *_, trained = (tmp_path / 'calls').read_text().splitlines()
    assert installed.endswith(f'--editable {ROOT}')
    config = 'configs/free_anchor_r18_fpn_shapes.py'
    assert trained.split() == ['tools/train.py', config, *(passed or given)]
