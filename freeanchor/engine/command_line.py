"""What the command lines of ``tools/`` share."""

import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config

from freeanchor.registry import RUNNERS

from .naming import ConfigError

USER_ERROR = 2  # exit code
_WAIT = 5  # seconds
_RANKS = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


def run_tool(job: Callable[[], Any]) -> int:
    """Run ``job``; say in one line what the user got wrong, if that is it.

    Returns:
        The exit code: 0, or 2 where the config, the command line or a missing
        file is at fault.
    """
    silence_known_warnings()
    try:
        job()
    except (ConfigError, FileNotFoundError) as error:
        if any(int(os.environ.get(x, '0')) for x in _RANKS):
            # The launcher ends all processes after the first. Let that be
            # process 0, which says the same; if it does not, say it here.
            time.sleep(_WAIT)
        print(f'error: {error}', file=sys.stderr)
        return USER_ERROR
    return 0


def silence_known_warnings() -> None:
    """Hide warnings of libraries that a user can neither cause nor cure."""
    # MMEngine makes its gradient scaler the old way; it works the same.
    warnings.filterwarnings(
        'ignore', r'`torch\.cuda\.amp\.GradScaler\(.*is deprecated', FutureWarning
    )
    # MMEngine passes it to torch's wrapper of the model; it works the same.
    warnings.filterwarnings('ignore', '`broadcast_buffers` is deprecated')


def set_launch(cfg: Config, launcher: str, work_dir: str | None) -> None:
    """Write launcher and work folder into ``cfg``.

    The folder is ``work_dirs/NAME_OF_CONFIG`` unless the command line or the
    config says another.
    """
    cfg.launcher = launcher
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(cfg.filename).stem)


def build_runner(cfg: Config) -> Any:
    """The config's runner; ours unless ``runner_type`` names another."""
    cfg.setdefault('runner_type', 'DetectionRunner')
    return RUNNERS.build(cfg)


def checked_checkpoint(name: str) -> str:
    """``name``, if it is a file or is to be downloaded (``https://``, ...).

    Raises:
        ConfigError: There is no such file.
    """
    if '://' not in name and not Path(name).is_file():
        raise ConfigError(f'there is no checkpoint {name}.')
    return name


def newest_checkpoint(work_dir: str) -> str:
    """The checkpoint of the last epoch (or iteration) in a work folder.

    By the number in its name: a note of the last one, as MMEngine leaves it,
    names the folder where it was written, and copies have other times.

    Raises:
        ConfigError: The folder has none.
    """
    for kind in ('epoch', 'iter'):
        found = list(Path(work_dir).glob(f'{kind}_*.pth'))
        if found:
            return str(max(found, key=lambda path: int(path.stem.split('_')[-1])))
    raise ConfigError(
        f'--resume: no checkpoint (epoch_*.pth or iter_*.pth) in {work_dir}. To start '
        'from the beginning leave --resume out.'
    )
