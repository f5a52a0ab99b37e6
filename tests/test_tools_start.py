"""What the command lines load before they are told what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / 'tools'


@pytest.mark.parametrize('tool', ['train.py', 'test.py'])
def test_help_loads_no_library(tool):
    done = subprocess.run(
        [sys.executable, '-X', 'importtime', str(TOOLS / tool), '--help'],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.split('|')[-1].strip() for line in done.stderr.splitlines()}
    assert 'argparse' in loaded
    for library in ('torch', 'mmengine', 'numpy', 'freeanchor'):
        assert library not in loaded
