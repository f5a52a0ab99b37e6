"""When each process of a training was last alive, as a file for each."""

import contextlib
import json
import os
import time
from pathlib import Path

_FOLDER = '.watchdog'
_SIGNS = 10  # in the seconds of a limit


class SignsOfLife:
    """Files in the work folder, which all processes of the training share.

    A process that is stopped, or whose machine is gone, no longer renews its
    file; one that waits for another does, and says at what. One process alone
    writes nothing.

    Args:
        work_dir: The work folder.
        rank: Of this process.
        num_processes: Of the training.
        limit: Seconds; a process that was silent for half of it does not answer.
    """

    def __init__(
        self, work_dir: str | Path, rank: int, num_processes: int, limit: float
    ) -> None:
        self._folder = Path(work_dir) / _FOLDER
        self._rank = rank
        self._num_processes = num_processes
        self._limit = limit
        self._last = float('-inf')

    def give(self, iteration: int, doing: str) -> None:
        """Note the last finished iteration and what is being done now."""
        now = time.monotonic()
        if self._num_processes < 2 or now < self._last + self._limit / _SIGNS:
            return
        self._last = now
        sign = dict(time=time.time(), iteration=iteration, doing=doing)
        path = self._path(self._rank)
        partial = path.with_suffix('.partial')
        # A full or vanished disk must not end the watch.
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(sign))
            os.replace(partial, path)

    def withdraw(self) -> None:
        """Remove this process's file."""
        with contextlib.suppress(OSError):
            self._path(self._rank).unlink()
            self._folder.rmdir()

    def describe(self) -> list[str]:
        """A line for each process; none for a process alone."""
        if self._num_processes < 2:
            return []
        return [self._described(rank) for rank in range(self._num_processes)]

    def _described(self, rank: int) -> str:
        try:
            sign = json.loads(self._path(rank).read_text())
            age = time.time() - sign['time']
            state = f'after iteration {sign["iteration"]}, {sign["doing"]}'
        except (OSError, ValueError, KeyError):
            return f'rank {rank}: no sign of life'
        if age > self._limit / 2:
            return f'rank {rank}: DOES NOT ANSWER for {age:.0f} s, {state}'
        return f'rank {rank}: alive, {state}'

    def _path(self, rank: int) -> Path:
        return self._folder / f'rank_{rank}.json'
