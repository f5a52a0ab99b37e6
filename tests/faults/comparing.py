"""What two checkpoints differ in, bit for bit."""

import math
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

# Clocks, names that hold the time or the folder, and the commit of the code.
_NOT_COMPARED = re.compile(
    r'/meta/(time|experiment_name|cfg)|runtime_info/(cfg|experiment_name|eta|mmengine_version)'
    r'|log_scalars/(train|val)/(time|data_time)/'
)


def differences(first: Any, second: Any) -> list[str]:
    """Paths of the values that are not the same, down to the last bit.

    Args:
        first: A checkpoint, as :func:`torch.load` gives it.
        second: Another.
    """
    here, there = dict(_leaves(first)), dict(_leaves(second))
    paths = sorted(set(here) | set(there))
    return [
        path
        for path in paths
        if not _NOT_COMPARED.search(path)
        and not (path in here and path in there and _same(here[path], there[path]))
    ]


def _leaves(value: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, x in value.items():
            yield from _leaves(x, f'{path}/{key}')
    elif isinstance(value, list | tuple):
        for i, x in enumerate(value):
            yield from _leaves(x, f'{path}/{i}')
    else:
        yield path, value


def _same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and _bytes(a) == _bytes(b)
    if isinstance(a, float) and math.isnan(a):
        return math.isnan(b)
    return a == b


def _bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b''
