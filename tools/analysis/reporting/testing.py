"""A test of a checkpoint, as a process of its own."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from freeanchor.engine import ConfigError

_TEST = Path(__file__).parents[2] / 'test.py'


def detections_of(
    config: str, checkpoint: str, folder: Path, options: Sequence[str] = ()
) -> Path:
    """Test a checkpoint; gives the file with its detections, in ``folder``.

    Args:
        config: Of the test.
        checkpoint: The file.
        folder: Where the test writes.
        options: ``KEY=VALUE`` that change the config.

    Raises:
        ConfigError: The test has failed; it has said why.
    """
    results = folder / 'detections.pkl'
    command = [sys.executable, str(_TEST), config, checkpoint]
    command += ['--work-dir', str(folder), '--out', str(results)]
    if options:
        command += ['--cfg-options', *options]
    code = subprocess.run(command, check=False).returncode
    if code:
        raise ConfigError(f'the test of {checkpoint} ended with exit code {code}.')
    return results
