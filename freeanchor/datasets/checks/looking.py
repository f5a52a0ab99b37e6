"""Look at many image files: a sample within seconds, or all by several processes."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import cv2
import numpy as np

from .look import Look, look_at

Looking = Callable[[Sequence[str], int], dict[int, Look]]
_TOGETHER = 32  # files that a process is given at once
_MOST = 20_000  # files of a sample


def look_at_sample(
    paths: Sequence[str], max_pixels: int, seconds: float
) -> dict[int, Look]:
    """Looks at the ends of files, in an order drawn with a fixed seed.

    Args:
        paths: The files.
        max_pixels: The most an image may have.
        seconds: When to stop.

    Returns:
        What was seen, by place in ``paths``.
    """
    end = time.monotonic() + seconds
    seen: dict[int, Look] = {}
    for i in np.random.default_rng(0).permutation(len(paths))[:_MOST].tolist():
        seen[i] = look_at(paths[i], max_pixels, decode=False)
        if time.monotonic() > end:
            break
    return seen


def look_at_all(
    paths: Sequence[str], max_pixels: int, workers: int | None = None
) -> dict[int, Look]:
    """Decodes every file, in processes of their own: a decoder may crash.

    Args:
        paths: The files.
        max_pixels: The most an image may have.
        workers: Processes; by default one for each core.
    """
    left = [
        list(range(i, min(i + _TOGETHER, len(paths))))
        for i in range(0, len(paths), _TOGETHER)
    ]
    workers = workers or _cores()
    seen: dict[int, Look] = {}
    while left := _look_at_chunks(paths, left, max_pixels, workers, seen):
        # Chunks are begun in their order: it was probably one of the first. If it
        # was not, it is the next time.
        suspects, left = left[:workers], left[workers:]
        for chunk in suspects:
            _look_at_suspect(paths, chunk, max_pixels, seen)
    return seen


def looking_once(look: Looking) -> Looking:
    """``look``, but the same files, as of two sets, are looked at only once."""
    known: dict[tuple, dict[int, Look]] = {}

    def once(paths: Sequence[str], max_pixels: int) -> dict[int, Look]:
        key = (max_pixels, *paths)
        if key not in known:
            known[key] = look(paths, max_pixels)
        return known[key]

    return once


def _look_at_suspect(
    paths: Sequence[str], chunk: list[int], max_pixels: int, seen: dict[int, Look]
) -> None:
    """Looks at a chunk alone, and file by file if that crashes."""
    if not _look_at_chunks(paths, [chunk], max_pixels, 1, seen):
        return
    for i in chunk:
        if _look_at_chunks(paths, [[i]], max_pixels, 1, seen):
            seen[i] = Look((('crashing_image', 'it crashes the decoder'),))


def _look_at_chunks(
    paths: Sequence[str],
    chunks: list[list[int]],
    max_pixels: int,
    workers: int,
    seen: dict[int, Look],
) -> list[list[int]]:
    """Fills ``seen``; the chunks that a crash left over."""
    left = []
    with ProcessPoolExecutor(
        workers, mp_context=_context(), initializer=_start
    ) as pool:
        jobs = list(_submitted(pool, paths, chunks, max_pixels))
        for chunk, job in zip(chunks, jobs):
            try:
                seen.update(zip(chunk, job.result()))
            except BrokenProcessPool:
                left.append(chunk)
    return left + chunks[len(jobs) :]


def _submitted(
    pool: ProcessPoolExecutor,
    paths: Sequence[str],
    chunks: list[list[int]],
    max_pixels: int,
) -> Iterator[Any]:
    for chunk in chunks:
        try:
            yield pool.submit(_look_at_each, [paths[i] for i in chunk], max_pixels)
        except BrokenProcessPool:
            return


def _look_at_each(paths: list[str], max_pixels: int) -> list[Look]:
    return [look_at(path, max_pixels, decode=True) for path in paths]


def _start() -> None:
    cv2.setNumThreads(0)


def _cores() -> int:
    if hasattr(os, 'sched_getaffinity'):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _context() -> Any:
    """Forked processes, where there are any, need not import everything again."""
    methods = multiprocessing.get_all_start_methods()
    return multiprocessing.get_context('fork' if 'fork' in methods else 'spawn')
