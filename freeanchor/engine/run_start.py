"""How a run begins: anew, where it was left, or not at all."""

import os
from pathlib import Path
from typing import Any

from .checkpoint_folder import CheckpointFolder
from .command_line import checked_checkpoint
from .naming import ConfigError

_RESTARTS = ('TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT')


def set_start(cfg: Any, resume: str | None, fresh: bool, is_first: bool) -> None:
    """Make ``cfg`` begin as the command line says.

    A process that its launcher has started again goes on where it was left.

    Args:
        cfg: A config with ``work_dir``; ``resume`` and ``load_from`` are set.
        resume: A checkpoint, ``'auto'`` for the newest of the folder, or None.
        fresh: Move the checkpoints of an earlier run aside.
        is_first: Whether this is the process that looks after the folder.

    Raises:
        ConfigError: The folder was used, and neither ``resume`` nor ``fresh``
            is given; or there is no such checkpoint.
    """
    folder = CheckpointFolder(cfg.work_dir)
    has_any = folder.has_any()
    if was_restarted() and (has_any or resume is None):
        resume, fresh = 'auto', False
    if resume is not None:
        _resume(cfg, resume, has_any, is_first)
    elif cfg.get('resume'):  # the config itself says so
        return
    elif is_first and fresh:
        aside = folder.set_aside()
        if aside is not None:
            print(f'The earlier run is in {aside}.', flush=True)
    elif is_first and (has_any or has_log(cfg.work_dir)):
        raise ConfigError(
            f'{cfg.work_dir} has an earlier run in it: go on with it by --resume, or '
            'begin anew by --fresh, which moves its checkpoints aside.'
        )


def was_restarted() -> bool:
    """Whether torchrun or Slurm has started this process again."""
    return any(os.environ.get(name, '0') not in ('', '0') for name in _RESTARTS)


def has_log(work_dir: str | Path) -> bool:
    """Whether a training in the folder has come as far as to log a loss."""
    logs = Path(work_dir).glob('*/vis_data/scalars.json')
    return any('"loss"' in log.read_text(errors='replace') for log in logs)


def _resume(cfg: Any, checkpoint: str, has_any: bool, is_first: bool) -> None:
    if checkpoint != 'auto':
        cfg.resume, cfg.load_from = True, checked_checkpoint(checkpoint)
    elif has_any:
        cfg.resume, cfg.load_from = True, None
    else:
        # What the config's load_from says counts: it is the beginning.
        cfg.resume = False
        if is_first:
            print(
                f'Nothing to resume in {cfg.work_dir}: training from the beginning.',
                flush=True,
            )
