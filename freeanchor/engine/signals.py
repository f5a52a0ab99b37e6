"""Stop on request: a signal is noted, and obeyed when nothing is under way."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

from .exit_codes import STOPPED

STOP_SIGNALS = tuple(
    getattr(signal, name)
    for name in ('SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGUSR2')
    if hasattr(signal, name)  # Windows has no SIGUSR1
)
# A launcher passes Ctrl-C on to processes that the terminal has told already.
_SAME_REQUEST = 1.0  # seconds


class StopRun(SystemExit):
    """A run ends as it was asked to; not an error, so no ``Exception``."""

    exit_code = STOPPED

    def __init__(self, message: str) -> None:
        super().__init__(STOPPED)
        self.message = message

    def __str__(self) -> str:
        return self.message


class StopSignals:
    """Turns SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 into requests to stop.

    Until training begins such a signal ends the process at once, by
    :class:`StopRun`: there is nothing to save. Afterwards it is noted. A second
    one, a second or more after the first, ends the process without saving.
    """

    def __init__(self) -> None:
        self._requested: str | None = None
        self._since = 0.0
        self._training = False
        self._saved = False
        self._previous: dict[int, Any] = {}
        self._pid = os.getpid()

    def __enter__(self) -> 'StopSignals':
        self.install()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not isinstance(error, StopRun):  # else what is left is to end
            self.restore()

    @property
    def requested(self) -> str | None:
        """The name of the signal that came first; None before."""
        return self._requested

    @property
    def is_saved(self) -> bool:
        """Whether the state that was asked for is saved."""
        return self._saved

    def install(self) -> bool:
        """Take the signals over; whether that was done by this call.

        Only the main thread can do it.
        """
        if self._previous or threading.current_thread() is not threading.main_thread():
            return False
        self._pid = os.getpid()
        self._requested, self._training, self._saved = None, False, False
        for number in STOP_SIGNALS:
            self._previous[number] = signal.signal(number, self._handle)
        return True

    def restore(self) -> None:
        """Give the signals back to who had them before."""
        for number, handler in self._previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous = {}

    def begin_training(self) -> None:
        """From now on note a signal and let the run go on."""
        self._training, self._saved = True, False

    def end_training(self) -> None:
        """From now on a signal ends the process at once again."""
        self._training = False

    def saved(self) -> None:
        """The state that was asked for is saved: who asks again loses nothing."""
        self._saved = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a process that we have forked
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        name = signal.Signals(number).name
        if self._requested is None:
            self._requested, self._since = name, time.monotonic()
            if self._saved:
                return  # another process was asked first, and all have stopped
            if not self._training:
                raise StopRun(f'{name} before training began: nothing was to be saved.')
            _say(f'{name}: saving and stopping after this step; a second one ends now.')
        elif time.monotonic() - self._since >= _SAME_REQUEST:
            _say(f'{name}: ending at once.')
            os._exit(STOPPED if self._saved else 128 + number)


STOP = StopSignals()
"""The one of this process: a process has one handler for a signal."""


class ShieldedWorker:
    """A data loader's ``worker_init_fn`` after which signals to all are ignored.

    Ctrl-C and schedulers signal every process of a group, but the workers must
    not die before the process that they work for has saved. It alone can end
    them by SIGTERM, and they notice if it is gone. (Who has sent a signal is
    known on Linux; elsewhere SIGTERM ends them whoever sends it.)

    Args:
        start: The ``worker_init_fn`` to call too.
    """

    def __init__(self, start: Callable[[int], Any] | None = None) -> None:
        self.start = start

    def __call__(self, worker_id: int) -> None:
        for number in STOP_SIGNALS:
            if number != signal.SIGTERM:
                signal.signal(number, signal.SIG_IGN)
        if hasattr(signal, 'sigwaitinfo'):
            # Blocked, it is left to the one thread that waits for it.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            threading.Thread(target=_end_with_parent, daemon=True).start()
        if self.start is not None:
            self.start(worker_id)


def _end_with_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        continue  # it was meant for all
    os._exit(0)  # as torch's workers do


def _say(text: str) -> None:
    # A handler can interrupt a print or a log call, which cannot be entered twice.
    with suppress(OSError, ValueError):  # nobody reads it any more
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f'{text}\n'.encode())
