"""A few entries of the maps, whatever their level."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from freeanchor.boxes import can_fuse

from .reading import Levels, SparseReader, read_once


class Entries:
    """Logits of (image, anchor, class), or all deltas of (image, anchor).

    Args:
        image: int64; the indices broadcast to shape ``(...)``.
        anchor: int64, counted over the levels in order.
        label: int64, or None to read ``(..., W)``, all of an anchor's values.
    """

    def __init__(
        self, image: Tensor, anchor: Tensor, label: Tensor | None = None
    ) -> None:
        indices = [image, anchor] if label is None else [image, anchor, label]
        self.image, self.anchor, *self.label = torch.broadcast_tensors(*indices)

    def read(self, levels: Levels) -> Tensor:
        """``(...)`` or ``(..., W)``, float32 or wider."""
        wide = torch.promote_types(levels[0].dtype, torch.float32)
        found = torch.zeros((), dtype=wide, device=levels[0].device)
        # Every level answers and the right one is kept: no index has to leave
        # the device.
        for level, place, inside in self._places(levels):
            found = torch.where(inside, level[place].to(wide), found)
        return found

    def add_gradient(self, levels: Levels, buffers: Levels, grad: Tensor) -> None:
        """Add ``grad``, shaped as what was read, where it was read."""
        for buffer, place, inside in self._places(buffers):
            own = torch.where(inside, grad, 0).to(buffer.dtype)
            buffer.index_put_(place, own, accumulate=True)

    def _places(
        self, levels: Sequence[Tensor]
    ) -> Iterator[tuple[Tensor, tuple[Tensor, ...], Tensor]]:
        """Each level, an index into it, and which entries are in the level."""
        start = 0
        for level in levels:
            _, positions, per_position, _ = level.shape
            own = self.anchor - start
            inside = (own >= 0) & (own < positions * per_position)
            own = own.clamp(0, positions * per_position - 1)
            place = (self.image, own // per_position, own % per_position, *self.label)
            yield level, place, inside if self.label else inside[..., None]
            start += positions * per_position


def read_entries(levels: Levels, entries: Entries) -> Tensor:
    """A few entries of the maps, ``(...)`` or ``(..., W)``, differentiable.

    Where the maps are read as a whole too, read both at once, with
    :func:`freeanchor.losses.background.background_and_logits`.
    """
    return read_once(levels, None, reader_of(entries, levels))[0]


def reader_of(entries: Entries, levels: Levels) -> SparseReader:
    """What reads ``entries`` fastest where the maps are."""
    if not can_fuse(levels[0]):
        return entries
    from .kernels.triton_entries import TritonEntries

    return TritonEntries(entries)
