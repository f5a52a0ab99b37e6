"""How the tools end, as numbers that a script or a scheduler can act on."""

import os
from pathlib import Path

FINISHED = 0
BUG = 1
"""An error that nobody foresaw; its traceback is printed."""
USER_ERROR = 2
"""The command line, the config, a missing file or a work folder in use."""
DATA_ERROR = 3
"""Images or annotations that cannot be used."""
NON_FINITE = 4
"""A loss, gradient or weight that is no number."""
STOPPED = 75
"""Stopped on request, with its state saved: run it again with ``--resume``."""
INTERRUPTED = 130
"""Ctrl-C where there was nothing to save."""

FOLDER_VARIABLE = 'FREEANCHOR_EXIT_CODES'
"""A folder where each process leaves its code for the launcher."""

_HOPELESS = (USER_ERROR, DATA_ERROR, NON_FINITE)
_USERS = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


def exit_code_of(error: BaseException) -> int | None:
    """The code that an error stands for; None if nobody foresaw it.

    An exception class says its own as the class attribute ``exit_code``.
    """
    code = getattr(error, 'exit_code', None)
    if code is None and isinstance(error, _USERS):
        return USER_ERROR
    return code


def record(code: int) -> None:
    """Tell the launcher how this process ends, if it wants to know.

    It need not be on this machine; then its folder is not there.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    rank = os.environ.get('RANK') or os.environ.get('SLURM_PROCID') or '0'
    if folder and Path(folder).is_dir():
        (Path(folder) / rank).write_text(str(code))


def recorded(rank: int) -> int | None:
    """The code that a process of this machine has left; None if there is none."""
    folder = os.environ.get(FOLDER_VARIABLE)
    path = Path(folder, str(rank)) if folder else None
    return int(path.read_text() or BUG) if path and path.is_file() else None


def final_code() -> int | None:
    """The code to end with at once, if starting again is no use; else None.

    torchrun restarts processes whatever they ended by. Another start does not
    mend what the user or the data got wrong, and is not what was asked for where
    all processes have stopped on request.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder or os.environ.get('TORCHELASTIC_RESTART_COUNT', '0') == '0':
        return None
    codes = [int(path.read_text() or BUG) for path in Path(folder).glob('*')]
    for code in _HOPELESS:
        if code in codes:
            return code
    everyone = len(codes) == int(os.environ.get('LOCAL_WORLD_SIZE', '1'))
    return STOPPED if everyone and set(codes) == {STOPPED} else None
