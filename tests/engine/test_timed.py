"""Minutes pass, and all processes learn of it at the same iteration."""

import time

from freeanchor.engine.timed import EveryMinutes
from tests.processes import run_on_processes


def test_alone_the_clock_decides(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    every = EveryMinutes(2)
    assert not every.is_due(1)
    now[0] += 119
    assert not every.is_due(2)
    now[0] += 1
    assert every.is_due(3)
    assert not every.is_due(4)
    now[0] += 120
    assert every.is_due(5)


def _due_iterations(rank: int, processes: int) -> list[int]:
    """From a resumed run's 5000th iteration on."""
    every = EveryMinutes(0.1 / 60)
    every.start(5000)
    due = []
    for iteration in range(5001, 5101):
        time.sleep(0.005 * (rank + 1))
        if every.is_due(iteration):
            due.append(iteration)
    return due


def test_several_processes_agree():
    first, second = run_on_processes(_due_iterations, 2)
    assert first == second
    assert 2 <= len(first) < 90
