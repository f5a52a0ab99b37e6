"""Whether the kernels for GPUs can be used."""

from importlib.util import find_spec

import torch
from torch import Tensor

_DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def can_fuse(x: Tensor) -> bool:
    """Whether ``x`` is on a GPU, in a dtype of the kernels, and Triton is there."""
    return x.is_cuda and x.dtype in _DTYPES and find_spec('triton') is not None
