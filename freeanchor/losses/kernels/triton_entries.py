"""A few entries of the maps on a GPU, without a pass over the maps."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from freeanchor.losses.entries import Entries
from freeanchor.losses.reading import Levels

_BLOCK = 256


class TritonEntries:
    """:class:`freeanchor.losses.entries.Entries` in a kernel a level.

    Args:
        entries: What to read.
    """

    def __init__(self, entries: Entries) -> None:
        self.entries = entries

    def read(self, levels: Levels) -> Tensor:
        """``(...)`` or ``(..., W)``, float32."""
        image, anchor, column = self._indices(levels)
        found = torch.empty(column.shape, device=column.device)
        rows = column.view(-1)  # any tensor: nothing is looked up in it
        self._launch(levels, _read, found, (image, anchor, column), rows, rows)
        return found

    def add_gradient(self, levels: Levels, buffers: Levels, grad: Tensor) -> None:
        """Add ``grad``, shaped as what was read, where it was read."""
        image, anchor, column = self._indices(levels)
        # Bags of neighbours share anchors. Entries that are the same are summed
        # first, in float32, so that each is written once.
        num_anchors = sum(x.shape[1] * x.shape[2] for x in levels)
        key = (image * num_anchors + anchor) * levels[0].shape[3] + column
        key, order = key.flatten().sort()
        first = torch.ones_like(key, dtype=torch.bool)
        torch.ne(key[1:], key[:-1], out=first[1:])
        segment = first.cumsum(0) - 1
        sums = torch.zeros(len(key), device=key.device)
        sums.index_add_(0, segment, grad.reshape(-1)[order].float())
        indices = tuple(x.reshape(-1)[order] for x in (image, anchor, column))
        self._launch(buffers, _add, sums, indices, segment, first.view(torch.uint8))

    def _indices(self, levels: Levels) -> tuple[Tensor, Tensor, Tensor]:
        image, anchor = self.entries.image, self.entries.anchor
        if self.entries.label:
            (column,) = self.entries.label
        else:
            column = torch.arange(levels[0].shape[3], device=image.device)
            image, anchor = image[..., None], anchor[..., None]
        indices = torch.broadcast_tensors(image, anchor, column)
        return tuple(x.contiguous() for x in indices)

    def _launch(
        self,
        levels: Levels,
        kernel: triton.JITFunction,
        values: Tensor,
        indices: tuple[Tensor, ...],
        segment: Tensor,
        first: Tensor,
    ) -> None:
        numel, start = indices[0].numel(), 0
        if numel == 0:
            return
        for level in levels:
            count = level.shape[1] * level.shape[2]
            kernel[(triton.cdiv(numel, _BLOCK),)](
                level,
                values,
                *indices,
                segment,
                first,
                numel,
                start,
                count,
                level.shape[2],
                *level.stride(),
                _BLOCK,
            )
            start += count


@triton.jit
def _place(
    image_ptr,
    anchor_ptr,
    column_ptr,
    numel,
    start,
    count,
    per_position,
    stride_image,
    stride_position,
    stride_anchor,
    stride_value,
    BLOCK: tl.constexpr,  # noqa: N803
):
    """Numbers of this program's entries, where they lie, which are on the level."""
    entry = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    anchor = tl.load(anchor_ptr + entry, entry < numel, -1) - start
    here = (entry < numel) & (anchor >= 0) & (anchor < count)
    place = tl.load(image_ptr + entry, here, 0).to(tl.int64) * stride_image
    place += (anchor // per_position).to(tl.int64) * stride_position
    place += (anchor % per_position) * stride_anchor
    place += tl.load(column_ptr + entry, here, 0) * stride_value
    return entry, place, here


@triton.jit
def _read(
    level_ptr,
    values_ptr,
    image_ptr,
    anchor_ptr,
    column_ptr,
    segment_ptr,
    first_ptr,
    numel,
    start,
    count,
    per_position,
    stride_image,
    stride_position,
    stride_anchor,
    stride_value,
    BLOCK: tl.constexpr,  # noqa: N803
):
    entry, place, here = _place(
        image_ptr,
        anchor_ptr,
        column_ptr,
        numel,
        start,
        count,
        per_position,
        stride_image,
        stride_position,
        stride_anchor,
        stride_value,
        BLOCK,
    )
    x = tl.load(level_ptr + place, here, 0).to(tl.float32)
    tl.store(values_ptr + entry, x, here)


@triton.jit
def _add(
    level_ptr,
    values_ptr,
    image_ptr,
    anchor_ptr,
    column_ptr,
    segment_ptr,
    first_ptr,
    numel,
    start,
    count,
    per_position,
    stride_image,
    stride_position,
    stride_anchor,
    stride_value,
    BLOCK: tl.constexpr,  # noqa: N803
):
    entry, place, here = _place(
        image_ptr,
        anchor_ptr,
        column_ptr,
        numel,
        start,
        count,
        per_position,
        stride_image,
        stride_position,
        stride_anchor,
        stride_value,
        BLOCK,
    )
    here = here & (tl.load(first_ptr + entry, here, 0) > 0)
    value = tl.load(values_ptr + tl.load(segment_ptr + entry, here, 0), here, 0)
    old = tl.load(level_ptr + place, here, 0).to(tl.float32)
    tl.store(level_ptr + place, (old + value).to(level_ptr.dtype.element_ty), here)
