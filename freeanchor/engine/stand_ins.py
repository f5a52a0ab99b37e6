"""The names that a checkpoint may hold, and the plain values they stand for.

Checkpoints of torch, MMEngine and MMDetection name tensors, ordered dicts,
numpy values, log histories and, with these, ``builtins.getattr``. Each name is
answered here by a function that makes plain data and can do nothing else; the
classes and functions of that name are never called with what a file says.
"""

import math
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

from .pickled_data import Built, ForbiddenError, Name, check_key

_PLAIN_CODES = re.compile(r'[biufcSU]\d{1,9}')  # no objects, no structures
_HISTORY_METHODS = frozenset(['min', 'max', 'current', 'mean'])
_HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
_BUFFER = 1500  # bytes of an empty history
_ALWAYS_FINE = 1 << 26  # bytes that a repeated (expanded) value may stand for


class Storage(NamedTuple):
    """The bytes of one or more tensors."""

    content: Tensor  # (num_bytes,) uint8
    dtype: torch.dtype
    limit: int  # bytes that a tensor on it may stand for


def _tensor(
    storage: Storage, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any
) -> Tensor:
    """The tensor of that place in a storage; offset and stride in elements."""
    return _view(storage, storage.dtype, offset, size, stride)


def _tensor_v3(
    storage: Storage,
    offset: int,
    size: Sequence[int],
    stride: Sequence[int],
    requires_grad: bool,
    hooks: Any,
    dtype: torch.dtype,
    *_: Any,
) -> Tensor:
    return _view(storage, dtype, offset, size, stride)


def _view(
    storage: Storage,
    dtype: torch.dtype,
    offset: int,
    size: Sequence[int],
    stride: Sequence[int],
) -> Tensor:
    numbers = [offset, *size, *stride]
    if any(type(x) is not int or x < 0 for x in numbers) or len(size) != len(stride):
        raise ValueError('the shape of a tensor is no list of sizes')
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    needed = (last + 1) * dtype.itemsize if count else 0
    if needed > len(storage.content):
        raise ValueError(f'a tensor of {needed} bytes in {len(storage.content)} bytes')
    if count * dtype.itemsize > max(storage.limit, _ALWAYS_FINE):
        raise ValueError(f'a tensor of {count} numbers, more than the file holds')
    if not count:
        return torch.empty(tuple(size), dtype=dtype)
    return storage.content.view(dtype).as_strided(tuple(size), tuple(stride), offset)


def _parameter(data: Tensor, *_: Any) -> Tensor:
    return data


class _DType(Built):
    """``numpy.dtype`` of numbers and strings."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if not _PLAIN_CODES.fullmatch(str(code)):
            raise ForbiddenError(f'numpy values of type {code!r}')
        self.value = np.dtype(code)

    def set_state(self, state: tuple) -> None:
        _, order, *structure = state
        if any(x is not None for x in structure[:3]):
            raise ForbiddenError('structured numpy types')
        self.value = self.value.newbyteorder(order)

    def read(self, data: bytes) -> np.ndarray:
        return np.frombuffer(data, self.value)


def _scalar(dtype: _DType, data: bytes) -> Any:
    """A number or string of numpy becomes one of Python."""
    return dtype.read(data).item()


class _Array(Built):
    """An array; :func:`~.plain_values.finished` puts ``value`` in its place.

    It is a view of the bytes in the file and cannot be written to: arrays that
    share their bytes, as a file may say, take the memory of one.
    """

    def __init__(self, kind: Any, shape: tuple, code: bytes) -> None:
        self.value = np.empty(0)

    def set_state(self, state: tuple) -> None:
        _, shape, dtype, columns_first, data = state
        if not isinstance(dtype, _DType):
            raise ValueError('an array without a type')
        values = dtype.read(data)
        self.value = values.reshape(shape, order='F' if columns_first else 'C')


class _History(Built):
    """A log history; :func:`~.plain_values.finished` puts a buffer in its place."""

    value: Any = None

    def set_state(self, state: dict) -> None:
        logs, counts = state['_log_history'].value, state['_count_history'].value
        if logs.ndim != 1 or logs.shape != counts.shape or logs.dtype.kind not in 'iuf':
            raise ValueError('a log history that is no list of numbers')
        self.value = HistoryBuffer(logs, counts, int(state['max_length']))
        self.num_bytes = _BUFFER + logs.nbytes + counts.nbytes  # it copies them


def _attribute(owner: Any, name: str) -> None:
    """A history pickles its own methods through ``getattr``; they are not needed."""
    if getattr(owner, 'path', '') != _HISTORY or name not in _HISTORY_METHODS:
        raise ForbiddenError(f'builtins.getattr of {name!r}')


def _encoded(text: str, encoding: str) -> bytes:
    """Bytes, in the form that the pickles of Python 2 have them."""
    if encoding not in ('latin1', 'latin-1'):
        raise ValueError(f'bytes as {encoding!r}')
    return text.encode('latin-1')


def _ordered_dict(items: Sequence = ()) -> OrderedDict:
    """An ordered dict; only Python 2 gave its items at once."""
    return OrderedDict((check_key(key), value) for key, value in items)


def _config_dict(items: dict | None = None) -> dict:
    return dict(items) if type(items) is dict else {}


def _counter(items: dict | None = None) -> Counter:
    return Counter(items if type(items) is dict else {})


def _set(items: list) -> set:
    return {check_key(x) for x in items}


def _no_call(*_: Any) -> None:
    raise ForbiddenError('numpy.ndarray called')


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    'builtins.bytearray': _encoded,
    'builtins.complex': complex,
    'builtins.getattr': _attribute,
    'builtins.set': _set,
    '_codecs.encode': _encoded,
    'collections.Counter': _counter,
    'collections.OrderedDict': _ordered_dict,
    # A dict whose keys are attributes too, of MMEngine and of MMCV 1.x.
    'mmengine.config.config.ConfigDict': _config_dict,
    'mmcv.utils.config.ConfigDict': _config_dict,
    _HISTORY: _History,
    'numpy.dtype': _DType,
    'numpy.ndarray': _no_call,
    # numpy 2 moved what files of numpy 1 name without the underscore.
    'numpy.core.multiarray.scalar': _scalar,
    'numpy._core.multiarray.scalar': _scalar,
    'numpy.core.multiarray._reconstruct': _Array,
    'numpy._core.multiarray._reconstruct': _Array,
    'torch.Size': lambda sizes: torch.Size(sizes),
    'torch.device': lambda *place: torch.device(*place),
    'torch._utils._rebuild_parameter': _parameter,
    'torch._utils._rebuild_tensor': _tensor,
    'torch._utils._rebuild_tensor_v2': _tensor,
    'torch._utils._rebuild_tensor_v3': _tensor_v3,
}
_NUMBERS = [
    *('float64', 'float32', 'float16', 'bfloat16', 'complex128', 'complex64'),
    *('int64', 'int32', 'int16', 'int8', 'uint8', 'uint16', 'uint32', 'uint64'),
    *('bool', 'float8_e4m3fn', 'float8_e5m2'),
]
_STORAGES = {
    'DoubleStorage': torch.float64,
    'FloatStorage': torch.float32,
    'HalfStorage': torch.float16,
    'BFloat16Storage': torch.bfloat16,
    'ComplexDoubleStorage': torch.complex128,
    'ComplexFloatStorage': torch.complex64,
    'LongStorage': torch.int64,
    'IntStorage': torch.int32,
    'ShortStorage': torch.int16,
    'CharStorage': torch.int8,
    'ByteStorage': torch.uint8,
    'BoolStorage': torch.bool,
}

#: All that a file may name: the closed list.
TABLE: Mapping[str, Any] = {
    **{path: Name(path, make) for path, make in _FUNCTIONS.items()},
    **{f'torch.{name}': getattr(torch, name) for name in _NUMBERS},
    **{f'torch.{name}': dtype for name, dtype in _STORAGES.items()},
    **{f'torch.cuda.{name}': dtype for name, dtype in _STORAGES.items()},
    'torch.storage.UntypedStorage': torch.uint8,
}
