"""Whether the kernels for GPUs can be used."""

import warnings
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

_DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def can_fuse(x: Tensor) -> bool:
    """Whether kernels can be launched on ``x``: else the plain forms are used.

    They take a GPU of compute capability 7.0 or newer (8.0 for bfloat16), one
    of the kernels' dtypes, Triton, and the C compiler that Triton needs.
    """
    if not x.is_cuda or x.dtype not in _DTYPES:
        return False
    oldest = (8, 0) if x.dtype == torch.bfloat16 else (7, 0)
    return torch.cuda.get_device_capability(x.device) >= oldest and _works(x.device)


def device_of(x: Tensor) -> AbstractContextManager:
    """Makes the device of ``x`` current: kernels are launched on that one."""
    return torch.cuda.device_of(x) if torch.cuda.is_available() else nullcontext()


@cache
def _works(device: torch.device) -> bool:
    if find_spec('triton') is None:
        return False
    from .triton_search import run_maxima

    try:
        run_maxima(torch.zeros(1, 4, device=device), torch.zeros(1, 4, device=device))
    except Exception as error:  # whatever the compiler's trouble is
        warnings.warn(
            f'Triton cannot compile here, slower plain forms are used: {error}',
            stacklevel=2,
        )
        return False
    return True
