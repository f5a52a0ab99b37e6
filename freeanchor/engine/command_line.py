"""What the command lines of ``tools/`` share."""

import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import is_distributed

from freeanchor.registry import RUNNERS

from . import exit_codes
from .agreement import lost_process
from .distributed import end_if_distributed
from .naming import ConfigError
from .signals import StopRun

_WAIT = 5  # seconds
# How gloo and NCCL say that another process is gone.
_PEER_LOST = ('closed by peer', 'reset by peer', 'remote process exited')
_RANKS = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


def run_tool(job: Callable[[], Any]) -> int:
    """Run ``job``; say in one line what went wrong, where that was foreseen.

    Returns:
        The exit code, one of :mod:`freeanchor.engine.exit_codes`: 0, 75 where the
        run was stopped on request, 2 where the config, the command line or a
        missing file is at fault, what an exception class has as ``exit_code``
        (3 for data, 4 for numbers that are not finite). An error that nobody
        foresaw is raised, which makes it 1. One of several processes does not
        return: it ends with the code, and prints such an error before.
    """
    silence_known_warnings()
    code = exit_codes.final_code()
    if code is None:
        code = _run(job)
    exit_codes.record(code)
    end_if_distributed(code)
    return code


def _run(job: Callable[[], Any]) -> int:
    try:
        job()
    except StopRun as stop:
        if not _is_one_of_many():
            print(stop, file=sys.stderr)
        return exit_codes.STOPPED
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except Exception as error:
        code = exit_codes.exit_code_of(error)
        if code is None:
            exit_codes.record(exit_codes.BUG)
            if any(x in str(error) for x in _PEER_LOST):
                print(f'error: {lost_process()}', file=sys.stderr)
                return exit_codes.BUG
            if is_distributed():
                traceback.print_exc()
                return exit_codes.BUG
            raise
        if _is_one_of_many():
            # The launcher ends all processes after the first. Let that be
            # process 0, which says the same; if it does not, say it here.
            time.sleep(_WAIT)
            if exit_codes.recorded(rank=0) == code:
                return code
        # One from a data worker has the worker's traceback before its own words.
        text = str(error).strip()
        if 'Traceback (most recent call last)' in text:
            text = text.splitlines()[-1].split(': ', 1)[-1]
        print(f'error: {text}', file=sys.stderr, flush=True)
        return code
    return exit_codes.FINISHED


def _is_one_of_many() -> bool:
    return any(int(os.environ.get(x) or 0) for x in _RANKS)


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
