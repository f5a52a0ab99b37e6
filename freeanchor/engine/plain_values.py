"""Finish values that were read from a file, and bound what walks over them."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor

from .pickled_data import Built, Name
from .stand_ins import Storage


def finished(value: Any, device: torch.device, most: int) -> Any:
    """``value`` without stand-ins, its tensors on ``device``.

    Args:
        value: What was read.
        device: Where its tensors go.
        most: Values that a walk over the result may meet. A list that stands in
            another twice is met twice, so a small file can ask for very many.

    Raises:
        ValueError: ``value`` holds itself, holds what stands for no value, or
            a walk would meet too many.
    """
    return _Finisher(device, most).finish(value)[0]


class _Finisher:
    def __init__(self, device: torch.device, most: int) -> None:
        self.device = device
        self.most = most
        self.done: dict[int, tuple[Any, int]] = {}
        self.under_way: set[int] = set()

    def finish(self, value: Any) -> tuple[Any, int]:
        """The finished value, and how many values a walk over it meets."""
        if not isinstance(value, dict | list | tuple | Tensor | Built):
            if isinstance(value, Name | Storage):
                raise ValueError('a name stands where a value should')
            return value, 1
        if id(value) in self.under_way:
            raise ValueError('a list or dict holds itself')
        if id(value) not in self.done:
            self.under_way.add(id(value))
            self.done[id(value)] = self._inside(value)
            self.under_way.discard(id(value))
        if self.done[id(value)][1] > self.most:
            raise ValueError('lists within lists, more than the file could hold')
        return self.done[id(value)]

    def _inside(self, value: Any) -> tuple[Any, int]:
        if isinstance(value, Storage | Name):
            raise ValueError('a name stands where a value should')
        if isinstance(value, Tensor):
            return value.to(self.device), 1
        if isinstance(value, Built):
            return getattr(value, 'value', None), 1
        if isinstance(value, dict):
            return self._dict(value)
        values, number = [], 1
        for item in value:
            done, count = self.finish(item)
            values.append(done)
            number += count
        if isinstance(value, torch.Size):
            return value, number
        return tuple(values) if isinstance(value, tuple) else values, number

    def _dict(self, value: dict) -> tuple[dict, int]:
        number = 1
        # In place: an OrderedDict of weights carries its versions along.
        for key in value:
            value[key], count = self.finish(value[key])
            number += count
        if type(value) is OrderedDict and '_metadata' in vars(value):
            value._metadata, count = self.finish(vars(value)['_metadata'])  # type: ignore[attr-defined]
            number += count
        return value, number
