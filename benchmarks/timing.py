"""Time several callables in turns, so that a busy machine hurts all of them alike.

Ratios of such times are what a benchmark may report; processor time is the
number to trust where others use the machine too.
"""

import contextlib
import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

_MIB = 2**20


def interleave(
    calls: dict[str, Callable[[], Any]],
    repeats: int,
    warmup: int = 1,
    device: str = 'cpu',
    clear: Callable[[], Any] = lambda: None,
    memory: bool = False,
) -> dict[str, dict[str, Any]]:
    """Time callables without arguments in turns, a b a b.

    Args:
        calls: Name and callable of each competitor.
        repeats: Timed calls of each.
        warmup: Calls of each beforehand that are not timed.
        device: Where the work is done: ``'cpu'`` or a CUDA device, which is
            then synchronised before and after each call.
        clear: Called before each call and not timed; it takes back what a
            call leaves, such as gradients.
        memory: Also call each once more and note how far memory grew at its
            peak.

    Returns:
        For each name ``wall_median_s``, ``wall_best_s``, ``cpu_median_s`` (of
        the process, all threads), ``cpu_best_s`` in seconds and ``repeats``;
        on CUDA also ``device_median_s`` between two events; with ``memory``
        ``peak_rss_growth_mb`` or ``peak_cuda_mb`` in MiB, None where the
        system does not tell.
    """
    for call in calls.values():
        for _ in range(warmup):
            clear()
            call()
    marks: dict[str, list[dict[str, float]]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            clear()
            gc.collect()
            marks[name].append(_time_once(call, device))
    return {
        name: _summary(marks[name])
        | (peak_memory(call, device, clear) if memory else {})
        for name, call in calls.items()
    }


def ratio(
    times: dict[str, dict[str, Any]],
    theirs: str,
    ours: str,
    key: str = 'wall_median_s',
) -> float | None:
    """How many times faster ``ours`` is than ``theirs``; None if one is missing."""
    if theirs not in times or ours not in times or not times[ours].get(key):
        return None
    return times[theirs][key] / times[ours][key]


def peak_memory(
    call: Callable[[], Any], device: str, clear: Callable[[], Any] = lambda: None
) -> dict[str, float | None]:
    """How far memory grows at its peak while ``call`` runs, in MiB.

    Returns:
        ``peak_cuda_mb``, what PyTorch allocated on a CUDA device, or
        ``peak_rss_growth_mb``, the resident set of this process on a CPU.
    """
    clear()
    gc.collect()
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        torch.cuda.synchronize(device)
        peak = torch.cuda.max_memory_allocated(device)
        return {'peak_cuda_mb': round((peak - before) / _MIB, 1)}
    return {'peak_rss_growth_mb': _resident_growth(call)}


def _resident_growth(call: Callable[[], Any]) -> float | None:
    # Linux only: there the mark of the highest resident set can be reset.
    try:
        # Pages that the allocator keeps would hide what the call takes anew.
        with contextlib.suppress(OSError):
            ctypes.CDLL('libc.so.6').malloc_trim(0)
        Path('/proc/self/clear_refs').write_text('5')
        before = _status_mb('VmRSS')
    except OSError:
        return None
    call()
    return round(_status_mb('VmHWM') - before, 1)


def _status_mb(field: str) -> float:
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith(f'{field}:'):
            return int(line.split()[1]) / 1024
    raise OSError(f'/proc/self/status has no {field}')


@contextlib.contextmanager
def _on_device(device: str, mark: dict[str, float]) -> Iterator[None]:
    """Synchronise around a call and note the time between two events."""
    if torch.device(device).type != 'cuda':
        yield
        return
    began = torch.cuda.Event(enable_timing=True)
    ended = torch.cuda.Event(enable_timing=True)
    began.record()
    yield
    ended.record()
    torch.cuda.synchronize(device)
    mark['device'] = began.elapsed_time(ended) / 1000


def _time_once(call: Callable[[], Any], device: str) -> dict[str, float]:
    mark: dict[str, float] = {}
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize(device)
    wall, cpu = time.perf_counter(), time.process_time()
    with _on_device(device, mark):
        call()
    mark.update(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)
    return mark


def _summary(marks: list[dict[str, float]]) -> dict[str, Any]:
    def of(key: str) -> list[float]:
        return [mark[key] for mark in marks]

    found = dict(
        wall_median_s=statistics.median(of('wall')),
        wall_best_s=min(of('wall')),
        cpu_median_s=statistics.median(of('cpu')),
        cpu_best_s=min(of('cpu')),
    )
    if 'device' in marks[0]:
        found['device_median_s'] = statistics.median(of('device'))
    return {k: round(v, 6) for k, v in found.items()} | dict(repeats=len(marks))
