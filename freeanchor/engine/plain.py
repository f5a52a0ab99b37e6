"""State as plain data, which loads without unpickling any class."""

import os
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

# Types that torch.load(..., weights_only=True) reads as they are.
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_TORCH = (Tensor, torch.dtype, torch.device)

_KIND = 'plain_form_of'


def to_plain(value: Any, where: str = 'checkpoint') -> Any:
    """``value`` as tensors, numbers, strings, lists, tuples, sets and dicts.

    Functions among a dict's values are left out: who loads the dict has built
    them from the config.

    Args:
        value: What is to be saved.
        where: Its name, for the error.

    Raises:
        TypeError: ``value`` holds something else; the message says where.
    """
    if type(value) in _PLAIN or isinstance(value, _TORCH):
        return value
    if isinstance(value, np.generic):
        return to_plain(value.item(), where)
    if isinstance(value, np.ndarray):
        return _plain_array(value, where)
    if isinstance(value, HistoryBuffer):
        logs, counts = value.data
        return {
            _KIND: 'HistoryBuffer',
            'logs': _plain_array(logs, where),
            'counts': _plain_array(counts, where),
            'max_length': value.max_length,
        }
    if isinstance(value, Mapping):
        return _plain_mapping(value, where)
    if isinstance(value, list | tuple | deque):
        items = [to_plain(x, f'{where}[{i}]') for i, x in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, set | frozenset):
        return {to_plain(x, where) for x in value}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(
        f'The checkpoint was not saved: {where} is a {type(value).__name__}. A '
        'checkpoint holds tensors, numbers, strings, lists and dicts; let the hook '
        'or module that puts it there keep it in such a form.'
    )


def from_plain(value: Any) -> Any:
    """The inverse of :func:`to_plain` for arrays of numbers and log histories."""
    if isinstance(value, dict):
        kind = value.get(_KIND)
        if kind == 'HistoryBuffer':
            logs, counts = from_plain(value['logs']), from_plain(value['counts'])
            return HistoryBuffer(logs, counts, value['max_length'])
        if kind == 'ndarray':
            values = value['values']
            return values.numpy(force=True) if torch.is_tensor(values) else values
        for key in value:
            value[key] = from_plain(value[key])
        return value
    if isinstance(value, list):
        return [from_plain(x) for x in value]
    if isinstance(value, tuple):
        return tuple(from_plain(x) for x in value)
    return value


def _plain_array(array: np.ndarray, where: str) -> Any:
    if array.dtype.kind not in 'biufc':
        return to_plain(array.tolist(), where)
    native = array.astype(array.dtype.newbyteorder('='))  # a copy, and contiguous
    return {_KIND: 'ndarray', 'values': torch.from_numpy(native)}


def _plain_mapping(value: Mapping, where: str) -> dict:
    items = (
        (to_plain(k, where), to_plain(x, f'{where}[{k!r}]'))
        for k, x in value.items()
        if not callable(x) or isinstance(x, _TORCH)
    )
    if isinstance(value, Counter):  # milestones of a schedule
        return Counter(dict(items))
    if not isinstance(value, OrderedDict):
        return dict(items)
    plain = OrderedDict(items)
    if hasattr(value, '_metadata'):  # versions of the modules of a state dict
        plain._metadata = to_plain(value._metadata, where)  # type: ignore[attr-defined]
    return plain
