"""The maps of minimal filtering F(4 x 4, 3 x 3), https://arxiv.org/abs/1509.09308.

A tile of 6 x 6 inputs and a 3 x 3 kernel become 36 values each; their products
become the tile's 4 x 4 outputs. Each map acts along one axis and is used twice.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

# Three values of a kernel to six.
KERNEL_MAP = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
Outs = Sequence[Tensor] | Tensor


def map_inputs(x: Sequence[Tensor], out: Outs) -> None:
    """Six neighbours along one axis to the six values that are multiplied."""
    even, odd = torch.sub(x[4], x[2], alpha=4), torch.sub(x[3], x[1], alpha=4)
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])
    torch.sub(x[4], x[2], out=even)
    torch.sub(x[3], x[1], out=odd)
    torch.add(even, odd, alpha=2, out=out[3])
    torch.sub(even, odd, alpha=2, out=out[4])
    torch.sub(x[4], x[2], alpha=5, out=out[0]).add_(x[0], alpha=4)
    torch.sub(x[5], x[3], alpha=5, out=out[5]).add_(x[1], alpha=4)


def map_outputs(x: Sequence[Tensor], out: Outs) -> None:
    """Six products along one axis to four neighbouring outputs."""
    near, far = x[1] + x[2], x[3] + x[4]
    torch.add(x[0], near, out=out[0]).add_(far)
    torch.add(near, far, alpha=4, out=out[2])
    torch.sub(x[1], x[2], out=near)
    torch.sub(x[3], x[4], out=far)
    torch.add(near, far, alpha=2, out=out[1])
    torch.add(near, far, alpha=8, out=out[3]).add_(x[5])


def spread_outputs(x: Sequence[Tensor], out: Outs) -> None:
    """Gradients of four outputs to those of six products: ``map_outputs`` turned."""
    out[0].copy_(x[0])
    even, odd = x[0] + x[2], x[1] + x[3]
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])
    torch.add(x[0], x[2], alpha=4, out=even)
    torch.add(x[1], x[3], alpha=4, out=odd)
    torch.add(even, odd, alpha=2, out=out[3])
    torch.sub(even, odd, alpha=2, out=out[4])
    out[5].copy_(x[3])
