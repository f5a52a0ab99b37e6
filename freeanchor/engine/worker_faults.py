"""Why a process that loads data has died, as far as the system tells."""

import os
import re
import shutil
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from torch.utils.data._utils import signal_handling
from torch.utils.data.dataloader import _BaseDataLoaderIter

_DEATH = re.compile(
    r'DataLoader worker \(pid(?:\(s\))? (?P<pids>[\d, ]+)\) '
    r'(?P<how>is killed by signal: [^.]*|exited unexpectedly[^.]*)'
)
_RECEIVER = 'torch/multiprocessing/reductions.py'
_NEARLY_FULL = 0.9
_MIB = 2**20


class WorkerDiedError(RuntimeError):
    """A data worker that is gone.

    The tools print it as one line and end with ``exit_code``.
    """

    exit_code = 1


def report_deaths_to_loader() -> None:
    """Let the death of a worker be an error where a batch is waited for only.

    torch raises it from a signal handler, which may be amid a step, or while the
    state is saved because of it. Where nothing is raised, the loader sees the death
    itself: at once where it waits for that worker's batch, else within 5 s.
    """
    if not hasattr(signal, 'SIGCHLD'):  # Windows; torch does nothing there either
        return
    if threading.current_thread() is not threading.main_thread():
        return
    signal_handling._set_SIGCHLD_handler()
    handler = signal.getsignal(signal.SIGCHLD)
    if callable(handler) and not isinstance(handler, _OnlyInLoader):
        signal.signal(signal.SIGCHLD, _OnlyInLoader(handler))


class _OnlyInLoader:
    """A signal handler that calls another one while a loader is asked for a batch."""

    def __init__(self, handler: Callable[[int, FrameType | None], Any]) -> None:
        self.handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        inner = frame
        while inner is not None:
            if inner.f_code is _BaseDataLoaderIter.__next__.__code__:
                self.handler(number, frame)
                return
            inner = inner.f_back


def explain_worker_death(error: BaseException) -> WorkerDiedError | None:
    """A data loader's error about a worker that died, in words that help.

    Args:
        error: What was raised while a batch was taken from the loader.

    Returns:
        An error in one line with the worker, its likely cause, the memory of
        this machine and the settings to lower; None if ``error`` is about
        something else.
    """
    found = _DEATH.search(str(error))
    if found is not None:
        who, how = f'data worker (pid {found["pids"].strip()})', found['how'].strip()
    elif _is_lost_batch(error):
        who, how = 'a data worker', 'is gone while a batch of it was received'
    else:
        return None
    return WorkerDiedError(
        f'{who} {how}. {_likely_cause(how)} ({"; ".join(_memory())}). Lower '
        'train_dataloader.num_workers or train_dataloader.prefetch_factor, then go on '
        'with --resume.'
    )


def _is_lost_batch(error: BaseException) -> bool:
    """Whether a tensor could not be fetched from the worker that had sent it."""
    if not isinstance(error, ConnectionError | EOFError | FileNotFoundError):
        return False
    walk = traceback.walk_tb(error.__traceback__)
    frames = [frame.f_code.co_filename for frame, _ in walk]
    # A thread that pins memory hands the traceback on as text.
    return any(_RECEIVER in x.replace(os.sep, '/') for x in [*frames, str(error)])


def _likely_cause(how: str) -> str:
    if 'Bus error' in how:
        return 'Most likely /dev/shm, the shared memory, is full'
    if 'Segmentation' in how:
        return 'Most likely a decoder crashed on a damaged image'
    return 'Most likely the memory ran out and the system killed it'


def _memory() -> Iterator[str]:
    """What is known about memory, a few words each; Linux only."""
    about = dict(_pairs(Path('/proc/meminfo')))
    if 'MemAvailable:' in about:
        available, total = (
            int(about[key]) / 1024 for key in ('MemAvailable:', 'MemTotal:')
        )
        yield f'memory: {available:.0f} of {total:.0f} MiB are available'
    yield from _control_groups()
    shared = Path('/dev/shm')
    if shared.is_dir():
        usage = shutil.disk_usage(shared)
        full = ', FULL' if usage.used > _NEARLY_FULL * usage.total else ''
        yield (
            f'/dev/shm: {usage.used / _MIB:.0f} of {usage.total / _MIB:.0f} MiB used'
            f'{full}'
        )


def _control_groups(root: Path = Path('/sys/fs/cgroup')) -> Iterator[str]:
    """Limit, use and kills of the group of processes that this one is in."""
    for folder in _folders(root):
        limit = _number(folder / 'memory.max', folder / 'memory.limit_in_bytes')
        used = _number(folder / 'memory.current', folder / 'memory.usage_in_bytes')
        if limit is None or used is None or limit > 2**60:  # no limit
            continue
        text = f"this job's limit: {used / _MIB:.0f} of {limit / _MIB:.0f} MiB used"
        for name in ('memory.events', 'memory.oom_control'):
            kills = dict(_pairs(folder / name)).get('oom_kill')
            if kills is not None:
                text += f', {kills} processes killed so far'
        yield text
        return


def _folders(root: Path) -> Iterator[Path]:
    """Where the group may be described, in version 2 and version 1."""
    try:
        lines = Path('/proc/self/cgroup').read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(':', 2)
        if controllers in ('', 'memory'):
            base = root / controllers
            yield base / path.lstrip('/')
            yield base


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        words = line.split()
        if len(words) >= 2:
            yield words[0], words[1]


def _number(*paths: Path) -> int | None:
    for path in paths:
        try:
            return int(path.read_text())
        except (OSError, ValueError):  # 'max' is no limit
            continue
    return None
