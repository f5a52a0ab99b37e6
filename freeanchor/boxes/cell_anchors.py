"""The anchors of a cell, laid out over feature maps."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class CellAnchors(nn.Module):
    """The anchors of one cell of each level, repeated at every cell.

    Args:
        anchors: ``(L, K, 4)`` xyxy pixels, relative to the cell's corner.
        strides: Pixels between neighbouring cells, L of them.
    """

    anchors: Tensor  # (L, K, 4), float32

    def __init__(self, anchors: Tensor, strides: Sequence[int]) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self._in_float32 = anchors.float()
        self.register_buffer('anchors', self._in_float32, persistent=False)

    def forward(self, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
        """Anchors of a batch.

        Args:
            sizes: Height and width of each level's feature map, in cells.

        Returns:
            One float32 ``(H * W * K, 4)`` tensor of xyxy pixels per level, in
            the order in which the head's outputs are flattened.

        Raises:
            ValueError: There are more or fewer maps than strides.
        """
        if len(sizes) != len(self.strides):
            raise ValueError(
                f'anchors have {len(self.strides)} strides {self.strides} but there '
                f'are {len(sizes)} feature maps: compare '
                'bbox_head.anchor_generator.strides with neck.num_outs'
            )
        return tuple(map(_shift, self.anchors, sizes, self.strides))

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> 'CellAnchors':
        # Half precision would move large anchors by whole pixels, so a cast of
        # the model moves them to its device but not to its dtype.
        super()._apply(fn, recurse)
        if not self.anchors.is_meta:
            self.anchors = self._in_float32.to(self.anchors.device)
        return self


def _shift(cell_anchors: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    y, x = (torch.arange(n, device=cell_anchors.device) * stride for n in size)
    y, x = torch.meshgrid(y, x, indexing='ij')
    corners = torch.stack([x, y, x, y], dim=-1)  # (H, W, 4)
    return (corners[:, :, None] + cell_anchors).reshape(-1, 4)
