"""Bring what all processes found to each of them, as tensors."""

import json
from collections.abc import Callable, Iterator
from itertools import zip_longest

import numpy as np
import torch
from mmengine.dist import (
    all_gather,
    broadcast_object_list,
    get_world_size,
    is_main_process,
)
from torch import Tensor

# An image's id and an array about it.
Result = tuple[int | str, np.ndarray]


def compute_together(
    compute: Callable[[list[Result]], dict[str, float]],
    results: list[Result],
    width: int,
) -> dict[str, float]:
    """What process 0 computes from the results of all; the same on each.

    Args:
        compute: From all results to named numbers.
        results: What this process found, see :func:`gather_results`.
        width: Columns of the arrays.
    """
    gathered = gather_results(results, width)
    numbers: list = [compute(gathered) if is_main_process() else None]
    broadcast_object_list(numbers)
    return numbers[0]


def gather_results(results: list[Result], width: int) -> list[Result]:
    """The results of all processes, each image once.

    Two collective calls carry them, one for sizes and one for contents, on
    whatever device the process group works on. No file is written and nothing
    is unpickled.

    Args:
        results: What this process found: an image's id, a number or a string,
            and a float64 array ``(n, width)`` for each image.
        width: Columns of the arrays.

    Returns:
        The images in the order in which samplers hand them out, in turns to
        each process. Samplers repeat images to give every process as many:
        the first of them counts.
    """
    if get_world_size() > 1:
        turns = zip_longest(*(_unpack(x, width) for x in _all_gather(_pack(results))))
        results = [result for turn in turns for result in turn if result is not None]
    once: dict[int | str, np.ndarray] = {}
    for image_id, array in results:
        once.setdefault(image_id, array)
    return list(once.items())


def _pack(results: list[Result]) -> list[bytes]:
    """Ids and lengths as text, and all arrays in one row."""
    lengths = json.dumps([[image_id, len(array)] for image_id, array in results])
    return [lengths.encode(), b''.join(array.tobytes() for _, array in results)]


def _unpack(parts: list[bytes], width: int) -> Iterator[Result]:
    rows = np.frombuffer(parts[1]).reshape(-1, width)
    start = 0
    for image_id, length in json.loads(parts[0]):
        yield image_id, rows[start : start + length]
        start += length


def _all_gather(parts: list[bytes]) -> list[list[bytes]]:
    """The parts of each process, by rank."""
    sizes = all_gather(torch.tensor([len(part) for part in parts]))
    longest = max(int(x.sum()) for x in sizes)
    own = torch.zeros(longest, dtype=torch.uint8)
    whole = np.frombuffer(b''.join(parts), np.uint8)
    own[: len(whole)] = torch.from_numpy(whole.copy())
    return [_split(x, n) for x, n in zip(all_gather(own), sizes)]


def _split(packed: Tensor, sizes: Tensor) -> list[bytes]:
    ends = sizes.cumsum(dim=0).tolist()
    content = packed.numpy().tobytes()
    return [content[a:b] for a, b in zip([0, *ends], ends)]
