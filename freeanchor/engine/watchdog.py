"""End a run that hangs, and say where it does."""

import contextlib
import faulthandler
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from freeanchor.registry import HOOKS

from .open_files import describe_process
from .signs_of_life import SignsOfLife

_REMEMBERED = 101  # steps that the median is taken of
_SLOW = ('first batch', 'evaluation', 'checkpoint')
_LOGGING = 5  # seconds that writing the log may take before it is given up


@HOOKS.register_module()
class WatchdogHook(Hook):
    """End this process, with exit code 1, when nothing happens for too long.

    A step, or waiting for a batch, may take ``max(min_seconds, factor * median
    step)``; the first batch and step of an epoch or validation, the evaluation
    and a checkpoint at least ``slow_seconds``. Then the stacks of all threads,
    the files that this process and its data workers are reading or waiting
    for, and when each process of the training was last alive go to the screen
    and the log, the workers are killed, and the launcher may start again.

    Time is counted while the process runs: neither a suspended computer nor a
    stopped process (SIGSTOP, Slurm's suspension) uses it up. A thread of C code
    that holds Python's lock for ever cannot be noticed. To stop at breakpoints
    leave the hook out. Files of workers are known on Linux only.

    Args:
        min_seconds: The least limit of a step.
        factor: Limit in medians of the steps so far.
        slow_seconds: The least limit where more than a step is done.
    """

    # After all others: what they do belongs to the step.
    priority = 'LOWEST'

    def __init__(
        self,
        min_seconds: float = 300,
        factor: float = 20,
        slow_seconds: float = 3600,
    ) -> None:
        self.min_seconds = min_seconds
        self.factor = factor
        self.slow_seconds = slow_seconds
        self._doing = ''
        self._beats = 0
        self._iteration = 0  # finished
        self._step_began = 0.0
        self._steps: deque[float] = deque(maxlen=_REMEMBERED)
        self._over = threading.Event()

    def before_train(self, runner: Runner) -> None:
        self._over = threading.Event()
        self._iteration = runner.iter
        self._beat('first batch')
        guard = _Guard(self, runner, self._over)
        threading.Thread(target=guard.watch, name='watchdog', daemon=True).start()

    def before_train_epoch(self, runner: Runner) -> None:
        self._beat('first batch')

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        # The first one of all may compile, or try algorithms.
        self._beat('step' if self._steps else 'first batch and step')
        self._step_began = time.monotonic()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        self._steps.append(time.monotonic() - self._step_began)
        self._iteration = runner.iter + 1
        self._beat('waiting for a batch')

    def after_train_epoch(self, runner: Runner) -> None:
        self._beat('end of the epoch, checkpoint')

    def saving(self, runner: Runner) -> None:
        self._beat('checkpoint')

    def settled(self, runner: Runner, after: str) -> None:
        self._beat('waiting for a batch' if after == 'iteration' else 'first batch')

    def before_val_epoch(self, runner: Runner) -> None:
        self._beat('first batch of the validation')

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        is_last = batch_idx + 1 >= len(runner.val_dataloader)
        self._beat('evaluation' if is_last else 'validation iteration')

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        self._beat('first batch after the evaluation')

    def after_train(self, runner: Runner) -> None:
        self._over.set()

    def limit(self) -> float:
        """Seconds that what is being done may take."""
        steps = list(self._steps)
        limit = max(
            self.min_seconds, self.factor * statistics.median(steps) if steps else 0
        )
        is_slow = any(x in self._doing for x in _SLOW)
        return max(limit, self.slow_seconds) if is_slow else limit

    def _beat(self, doing: str) -> None:
        self._doing = doing
        self._beats += 1


class _Guard:
    """The thread that watches; it holds nothing that the training needs."""

    def __init__(
        self, hook: WatchdogHook, runner: Runner, over: threading.Event
    ) -> None:
        self.hook, self.runner, self.over = hook, runner, over
        self.tick = min(max(hook.min_seconds / 20, 0.05), 5.0)
        self.watched = threading.current_thread().ident
        self.signs = SignsOfLife(
            runner.work_dir, runner.rank, runner.world_size, hook.min_seconds
        )

    def watch(self) -> None:
        quiet, beats, before = 0.0, -1, time.monotonic()
        while not self.over.wait(self.tick):
            now = time.monotonic()
            # A process that was stopped finds a long time gone by; so does the
            # machine: only what was seen to pass is counted.
            quiet, before = quiet + min(now - before, 2 * self.tick), now
            if self.hook._beats != beats:
                quiet, beats = 0.0, self.hook._beats
            self.signs.give(self.hook._iteration, self.hook._doing)
            if quiet > self.hook.limit():
                if not self._is_training():
                    break
                self._end(quiet)
        self.signs.withdraw()

    def _is_training(self) -> bool:
        """Whether the thread is in the loop still: an error may have ended it."""
        frame = sys._current_frames().get(self.watched or 0)
        while frame is not None:
            if frame.f_locals.get('self') is self.runner.train_loop:
                return True
            frame = frame.f_back
        return False

    def _end(self, quiet: float) -> None:
        text = self._report(quiet)
        # The screen first: the log may be on the file system that hangs.
        with contextlib.suppress(OSError):
            os.write(2, text.encode())
        log = threading.Thread(target=self._log, args=(text,), daemon=True)
        log.start()
        log.join(_LOGGING)
        for worker in multiprocessing.active_children():
            worker.kill()
        os._exit(1)

    def _report(self, quiet: float) -> str:
        hook, runner = self.hook, self.runner
        lines = [
            f'error: nothing has happened for {quiet:.0f} s after iteration '
            f'{hook._iteration} of rank {runner.rank} ({hook._doing}). The process '
            'ends itself; start again with --resume. A slower run needs a larger '
            'default_hooks.watchdog.min_seconds.'
        ]
        lines += self.signs.describe()
        lines.append(f'this process (pid {os.getpid()}):')
        lines += [f'  {line}' for line in describe_process(os.getpid())]
        for worker in multiprocessing.active_children():
            lines.append(f'{worker.name} (pid {worker.pid}):')
            lines += [f'  {line}' for line in describe_process(worker.pid or 0)]
        return '\n'.join([*lines, _stacks()]) + '\n'

    def _log(self, text: str) -> None:
        for handler in self.runner.logger.handlers:
            name = getattr(handler, 'baseFilename', None)
            if name is not None:
                # Not through the handler: its lock may be what is waited for.
                with open(name, 'a') as file:
                    file.write(text)


def _stacks() -> str:
    """Of all threads; no file of source code is read."""
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read().decode(errors='replace')
