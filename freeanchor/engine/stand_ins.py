"""What old checkpoints hold besides tensors, read without the classes themselves.

Checkpoints of MMEngine and MMDetection pickle numpy values, log histories and,
with these, ``builtins.getattr``. Each name is answered by a harmless class of
the same name below, which keeps plain data and can do nothing else.
"""

import pickle
import re
from typing import Any

import numpy as np
from mmengine.logging import HistoryBuffer

_PLAIN_CODES = re.compile(r'[biufcSU]\d+')  # no objects, no structures
_HISTORY_METHODS = frozenset(['min', 'max', 'current', 'mean'])


class _DType:
    """``numpy.dtype`` of numbers and strings."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if not _PLAIN_CODES.fullmatch(str(code)):
            raise pickle.UnpicklingError(f'numpy values of type {code!r} are refused')
        self.value = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        _, order, *structure = state
        if any(x is not None for x in structure[:3]):
            raise pickle.UnpicklingError('structured numpy types are refused')
        self.value = self.value.newbyteorder(order)

    def read(self, data: bytes) -> np.ndarray:
        return np.frombuffer(data, self.value)


class _Scalar:
    """A number or string of numpy becomes one of Python."""

    def __new__(cls, dtype: _DType, data: bytes) -> Any:
        return dtype.read(data).item()


class _NdArray:
    """Names the class of an array; it is never called."""


class _Array:
    """An array; :func:`without_stand_ins` puts ``value`` in its place."""

    def __init__(self, kind: type, shape: tuple, code: bytes) -> None:
        self.value = np.empty(0)

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, columns_first, data = state
        order = 'F' if columns_first else 'C'
        self.value = dtype.read(data).reshape(shape, order=order).copy()


class _History:
    """A log history; :func:`without_stand_ins` puts a buffer in its place."""

    def __setstate__(self, state: dict) -> None:
        logs, counts = state['_log_history'], state['_count_history']
        self.value = HistoryBuffer(logs.value, counts.value, state['max_length'])


class _GetAttr:
    """A history pickles its own methods through ``getattr``; they are not needed."""

    def __new__(cls, owner: Any, name: str) -> Any:
        if owner not in _HISTORIES or name not in _HISTORY_METHODS:
            raise pickle.UnpicklingError(f'getattr(..., {name!r}) is refused')
        return None


def _named(path: str, kind: type) -> Any:
    """A class that torch's restricted unpickler takes for ``path``."""
    module, name = path.rsplit('.', 1)
    return type(name, (kind,), {'__module__': module, '__qualname__': name})


_HISTORIES = [_named('mmengine.logging.history_buffer.HistoryBuffer', _History)]

#: The closed list for ``torch.serialization.safe_globals``.
STAND_INS = [
    *_HISTORIES,
    _named('builtins.getattr', _GetAttr),
    _named('numpy.dtype', _DType),
    _named('numpy.ndarray', _NdArray),
    # numpy 2 moved what files of numpy 1 name without the underscore.
    _named('numpy.core.multiarray.scalar', _Scalar),
    _named('numpy._core.multiarray.scalar', _Scalar),
    _named('numpy.core.multiarray._reconstruct', _Array),
    _named('numpy._core.multiarray._reconstruct', _Array),
]


def without_stand_ins(value: Any) -> Any:
    """``value`` with numpy arrays and log histories in place of stand-ins."""
    if isinstance(value, _Array | _History):
        return value.value
    if isinstance(value, dict):
        # In place: an OrderedDict of weights carries its versions along.
        for key in value:
            value[key] = without_stand_ins(value[key])
        return value
    if type(value) in (list, tuple):
        return type(value)(without_stand_ins(x) for x in value)
    return value
