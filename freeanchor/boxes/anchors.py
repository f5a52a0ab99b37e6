"""The fixed reference boxes that a dense head classifies and shifts."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from freeanchor.registry import TASK_UTILS


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

    cell_anchors: Tensor  # (L, K, 4) xyxy relative to the cell's corner

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
        self._in_float32 = levels
        self.register_buffer('cell_anchors', levels, persistent=False)

    def forward(self, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
        """Anchors of a batch.

        Args:
            sizes: Height and width of each level's feature map, in cells.

        Returns:
            One float32 ``(H * W * num_anchors, 4)`` tensor of xyxy pixels per
            level, in the order in which the head's outputs are flattened.

        Raises:
            ValueError: There are more or fewer maps than strides.
        """
        if len(sizes) != len(self.strides):
            raise ValueError(
                f'anchors have {len(self.strides)} strides {self.strides} but there '
                f'are {len(sizes)} feature maps: compare '
                'bbox_head.anchor_generator.strides with neck.num_outs'
            )
        return tuple(map(_shift, self.cell_anchors, sizes, self.strides))

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> 'AnchorGenerator':
        # Half precision would move large anchors by whole pixels, so a cast of
        # the model moves them to its device but not to its dtype.
        super()._apply(fn, recurse)
        if not self.cell_anchors.is_meta:
            self.cell_anchors = self._in_float32.to(self.cell_anchors.device)
        return self


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


def _shift(cell_anchors: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    y, x = (torch.arange(n, device=cell_anchors.device) * stride for n in size)
    y, x = torch.meshgrid(y, x, indexing='ij')
    corners = torch.stack([x, y, x, y], dim=-1)  # (H, W, 4)
    return (corners[:, :, None] + cell_anchors).reshape(-1, 4)
