"""The state of all random generators of a process, as plain data."""

import random
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """State of Python's, NumPy's, PyTorch's and this process's CUDA generator."""
    version, values, gauss = random.getstate()
    of_numpy: Any = np.random.get_state()
    kind, keys, position, has_gauss, cached = of_numpy
    state: dict[str, Any] = dict(
        python=[version, list(values), gauss],
        numpy=[kind, _as_tensor(keys), int(position), int(has_gauss), float(cached)],
        torch=torch.get_rng_state(),
    )
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """The inverse of :func:`random_state`."""
    version, values, gauss = state['python']
    random.setstate((version, tuple(values), gauss))
    kind, keys, position, has_gauss, cached = state['numpy']
    words = keys.numpy().astype(np.uint32)
    np.random.set_state((kind, words, position, has_gauss, cached))
    torch.set_rng_state(state['torch'])
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'])


def _as_tensor(words: np.ndarray) -> torch.Tensor:
    """Unsigned words in a dtype that every version of PyTorch saves."""
    return torch.from_numpy(words.astype(np.int64))
