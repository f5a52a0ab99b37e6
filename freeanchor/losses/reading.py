"""One gradient buffer for all that a loss reads from the predictions.

A loss reads the same maps several times: all of them for the background, a
few entries for bags and matches. Autograd would fill a tensor of the maps'
size for each, most of it zeros, and add them up. Here all readers of the maps
are one node of the graph, and write into one buffer.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from freeanchor.boxes import device_of

Levels = Sequence[Tensor]
"""Per level ``(B, P_l, K, W)``, a view of the map in its memory format."""


class DenseReader(Protocol):
    """Reads every entry of the maps."""

    def read(self, levels: Levels, with_gradient: bool) -> Tensor:
        """The value; ``with_gradient`` if ``gradient`` will be asked for."""

    def gradient(self, levels: Levels, grad: Tensor) -> list[Tensor]:
        """New buffers with the maps' strides, the gradient in every entry."""


class SparseReader(Protocol):
    """Reads a few entries of the maps."""

    def read(self, levels: Levels) -> Tensor:
        """The value."""

    def add_gradient(self, levels: Levels, buffers: Levels, grad: Tensor) -> None:
        """Add the gradient of what was read."""


def is_dense(level: Tensor) -> bool:
    """Whether ``(B, P_l, K, W)`` views a whole map, of either memory format."""
    return level.is_contiguous() or level.permute(0, 2, 3, 1).is_contiguous()


def read_once(
    levels: Levels, dense: DenseReader | None, *sparse: SparseReader
) -> tuple[Tensor, ...]:
    """What each reader reads, differentiable, the dense one's first.

    Args:
        levels: Per level ``(B, P_l, K, W)``.
        dense: Reads all entries; None for none.
        sparse: Each reads some.
    """
    return _ReadOnce.apply(dense, sparse, *levels)


class _ReadOnce(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        dense: DenseReader | None,
        sparse: Sequence[SparseReader],
        *levels: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.dense, ctx.sparse = dense, sparse
        ctx.save_for_backward(*levels)
        with device_of(levels[0]):  # backward, autograd sees to it
            values = [reader.read(levels) for reader in sparse]
            if dense is not None:
                values.insert(0, dense.read(levels, any(ctx.needs_input_grad)))
        return tuple(values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple:
        levels = ctx.saved_tensors
        if ctx.dense is None:
            buffers = [torch.zeros_like(x) for x in levels]
        else:
            buffers = ctx.dense.gradient(levels, grads[0])
            grads = grads[1:]
        for reader, grad in zip(ctx.sparse, grads):
            reader.add_gradient(levels, buffers, grad)
        return None, None, *buffers
