"""End with the launcher: no process trains on, and saves, without its fellows."""

import os
import signal
import threading
import time
from contextlib import suppress

from .exit_codes import STOPPED
from .signals import STOP

_INTERVAL = 1.0  # seconds between two looks
_GRACE = 60.0  # seconds to finish a step and to save


def watch_launcher(parent: int) -> None:
    """Once the launcher is gone, stop as on SIGTERM; after a minute in any case.

    A killed launcher can tell its processes nothing. (Linux would send a signal
    when the parent's *thread* ends, which for some launchers is long before.)

    Args:
        parent: ``os.getppid()``, taken as soon as the program started.
    """
    thread = threading.Thread(target=_watch, args=(parent,), daemon=True)
    thread.start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_INTERVAL)
    text = f'The launcher (process {parent}) is gone: saving and stopping.\n'
    with suppress(OSError):  # what it read from us may be closed
        os.write(2, text.encode())
    if STOP.requested is None:
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(STOPPED if STOP.is_saved else 128 + signal.SIGTERM)
