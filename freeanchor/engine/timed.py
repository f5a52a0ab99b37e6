"""Something to do every few minutes, at the same iteration in all processes."""

import time

import torch
from mmengine import dist

_FIRST_LOOK = 10  # iterations, before a pace is known


class EveryMinutes:
    """Tells when so many minutes have passed, alike to all processes.

    One process looks at its clock whenever it is asked. Several do not talk
    at each iteration: process 0 foretells, from the pace so far, at which one
    it is worth looking.

    Args:
        minutes: Between two times.
    """

    def __init__(self, minutes: float) -> None:
        self._limit = minutes * 60
        self.start(0)

    def start(self, iteration: int) -> None:
        """Let the minutes begin now, at so many iterations done."""
        self._since = time.monotonic()
        self._begin = iteration
        self._look = iteration + _FIRST_LOOK

    def is_due(self, iteration: int) -> bool:
        """Whether it is time; if so, the next minutes begin.

        Args:
            iteration: Iterations done; all processes ask at the same ones.
        """
        if dist.get_world_size() == 1:
            due = time.monotonic() - self._since >= self._limit
        elif iteration < self._look:
            return False
        else:
            due = self._ask_first_process(iteration)
        if due:
            self.start(iteration)
        return due

    def _ask_first_process(self, iteration: int) -> bool:
        elapsed = time.monotonic() - self._since
        pace = (iteration - self._begin) / max(elapsed, 1e-3)  # iterations a second
        wait = max(1, int(pace * (self._limit - elapsed)))
        answer = torch.tensor([elapsed >= self._limit, wait], dtype=torch.int64)
        dist.broadcast(answer)
        due, wait = answer.tolist()
        self._look = iteration + wait
        return bool(due)
