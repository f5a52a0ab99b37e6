"""The background's cost on a GPU: one pass to sum, one to write the gradient."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from freeanchor.losses.reading import Levels

from .triton_maths import focal_negative

_BLOCK = 2048


class TritonBackground:
    """Sum of ``p^gamma * -log(1 - p)``; see ``losses.background``.

    Reads the maps as they lie in memory, in either memory format, and in the
    network's precision; sums in float32. Nothing waits for the device.

    Args:
        gamma: Focusing power.
        counted: ``(B, A)`` bool, anchors that take part; None for all.
    """

    def __init__(self, gamma: float, counted: Tensor | None = None) -> None:
        self.gamma = float(gamma)
        self.counted = counted

    def read(self, levels: Levels, with_gradient: bool) -> Tensor:
        """Scalar, float32."""
        blocks = [triton.cdiv(x.numel(), _BLOCK) for x in levels]
        sums = torch.empty(sum(blocks), device=levels[0].device)
        parts = sums.split(blocks)
        for level, counted, part in zip(levels, self._counted(levels), parts):
            _sum[(len(part),)](level, counted, part, *self._sizes(level))
        return sums.sum()

    def gradient(self, levels: Levels, grad: Tensor) -> list[Tensor]:
        """``grad`` times the derivative, in buffers with the maps' strides."""
        buffers = [torch.empty_like(x) for x in levels]
        for level, counted, buffer in zip(levels, self._counted(levels), buffers):
            grid = (triton.cdiv(level.numel(), _BLOCK),)
            _derive[grid](level, counted, buffer, grad, *self._sizes(level))
        return buffers

    def _counted(self, levels: Levels) -> list[Tensor]:
        """Per level ``(B, A_l)`` uint8; anything where all count."""
        if self.counted is None:
            return list(levels)
        sizes = [x.shape[1] * x.shape[2] for x in levels]
        parts = self.counted.view(torch.uint8).split(sizes, dim=1)
        return [x.contiguous() for x in parts]

    def _sizes(self, level: Tensor) -> tuple:
        _, positions, per_position, num_classes = level.shape
        return (
            level.numel(),
            positions,
            per_position,
            num_classes,
            self.gamma,
            level.is_contiguous(),
            self.counted is not None,
            _BLOCK,
        )


@triton.jit
def _load(
    x_ptr,
    counted_ptr,
    numel,
    positions,
    per_position,
    num_classes,
    CHANNELS_LAST: tl.constexpr,  # noqa: N803
    MASKED: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    """A block of values as they lie in memory, and which of them count."""
    index = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = index < numel
    x = tl.load(x_ptr + index, mask=inside, other=0).to(tl.float32)
    counts = inside.to(tl.float32)
    if MASKED:
        if CHANNELS_LAST:  # (B, P, K, C)
            row = index // num_classes
        else:  # (B, K, C, P)
            k = index // (num_classes * positions)
            image = k // per_position
            position = image * positions + index % positions
            row = position * per_position + k % per_position
        counts = tl.load(counted_ptr + row, mask=inside, other=0).to(tl.float32)
    return index, inside, x, counts


@triton.jit
def _sum(
    x_ptr,
    counted_ptr,
    sums_ptr,
    numel,
    positions,
    per_position,
    num_classes,
    GAMMA: tl.constexpr,  # noqa: N803
    CHANNELS_LAST: tl.constexpr,  # noqa: N803
    MASKED: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    _, _, x, counts = _load(
        x_ptr,
        counted_ptr,
        numel,
        positions,
        per_position,
        num_classes,
        CHANNELS_LAST,
        MASKED,
        BLOCK,
    )
    cost, _ = focal_negative(x, GAMMA)
    # Not a product: what does not count may be infinite.
    total = tl.sum(tl.where(counts > 0, cost, 0), axis=0)
    tl.store(sums_ptr + tl.program_id(0), total)


@triton.jit
def _derive(
    x_ptr,
    counted_ptr,
    out_ptr,
    grad_ptr,
    numel,
    positions,
    per_position,
    num_classes,
    GAMMA: tl.constexpr,  # noqa: N803
    CHANNELS_LAST: tl.constexpr,  # noqa: N803
    MASKED: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    index, inside, x, counts = _load(
        x_ptr,
        counted_ptr,
        numel,
        positions,
        per_position,
        num_classes,
        CHANNELS_LAST,
        MASKED,
        BLOCK,
    )
    _, slope = focal_negative(x, GAMMA)
    slope = tl.where(counts > 0, slope, 0) * tl.load(grad_ptr)
    tl.store(out_ptr + index, slope.to(out_ptr.dtype.element_ty), mask=inside)
