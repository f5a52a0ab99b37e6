"""The fixed reference boxes that a dense head classifies and shifts."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from freeanchor.registry import TASK_UTILS

from .cell_anchors import CellAnchors


@TASK_UTILS.register_module()
class AnchorGenerator(nn.Module):
    """Lay the same anchors at every cell of every pyramid level.

    A level of stride ``s`` has, at each cell, one anchor per pair of aspect
    ratio and scale ``c``, of area ``(s * c)**2``. Scales are
    ``octave_base_scale * 2**(i / scales_per_octave)`` unless given.

    Args:
        strides: Pixels between neighbouring cells, one per level.
        ratios: Aspect ratios, height over width.
        octave_base_scale: Side of the smallest anchor, in strides.
        scales_per_octave: Number of sizes between a side and its double.
        scales: Sides in strides, instead of the two before.
        center_offset: Where in its cell an anchor is centred, in strides: 0
            is the top-left corner, 0.5 the middle.
    """

    def __init__(
        self,
        strides: Sequence[int],
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        octave_base_scale: float = 4.0,
        scales_per_octave: int = 3,
        scales: Sequence[float] | None = None,
        center_offset: float = 0.0,
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        if scales is None:
            octave = range(scales_per_octave)
            scales = [octave_base_scale * 2 ** (i / scales_per_octave) for i in octave]
        self.num_anchors = len(ratios) * len(scales)

        root = torch.tensor(ratios).sqrt()
        # (R, S, 2): ratios vary slowest, as in the published checkpoints.
        sides = torch.stack([1 / root, root], dim=-1)[:, None]
        sides = sides * torch.tensor(scales, dtype=torch.float32)[:, None]
        corners = torch.cat([-sides, sides], dim=-1).reshape(-1, 4) / 2
        levels = torch.stack([(corners + center_offset) * s for s in strides])
        self.of_cell = CellAnchors(levels, strides)

    def forward(self, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
        """Anchors of a batch; see :meth:`CellAnchors.forward`."""
        return self.of_cell(sizes)


def centred_inside(anchors: Tensor, height: int, width: int) -> Tensor:
    """Which anchors belong to a cell of an image of this size.

    A cell belongs to the image if its top-left corner does. Corners are a
    stride apart, so half a pixel of slack absorbs rounding.

    Args:
        anchors: ``(A, 4)`` xyxy, pixels, centred on their cells' corners.
        height: Of the image, pixels.
        width: Of the image, pixels.

    Returns:
        ``(A,)`` bool.
    """
    x, y = ((anchors[:, :2] + anchors[:, 2:]) / 2).unbind(dim=-1)
    return (x < width - 0.5) & (y < height - 0.5)
