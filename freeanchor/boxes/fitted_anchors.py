"""Anchors as torchvision's RetinaNet lays them out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from freeanchor.registry import TASK_UTILS

from .cell_anchors import CellAnchors


@TASK_UTILS.register_module()
class FittedAnchorGenerator(nn.Module):
    """Anchors with whole corners, in cells whose sides fit the images.

    torchvision takes the whole part of a size, rounds corners to whole pixels, and
    divides the padded image by a map's cells: where 800 pixels have 7 cells, these
    are 114 pixels high, not 128. From ``torchvision/models/detection/
    anchor_utils.py`` and ``retinanet.py`` of torchvision 0.29.

    Args:
        strides: Pixels between neighbouring cells, one per level, where images
            divide by them. They must divide by the first.
        ratios: Aspect ratios, height over width.
        octave_base_scale: Side of the smallest anchor, in strides.
        scales_per_octave: Number of sizes between a side and its double.
    """

    def __init__(
        self,
        strides: Sequence[int],
        ratios: Sequence[float] = (0.5, 1.0, 2.0),
        octave_base_scale: float = 4.0,
        scales_per_octave: int = 3,
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.num_anchors = len(ratios) * scales_per_octave
        octave = [2 ** (i / scales_per_octave) for i in range(scales_per_octave)]
        sides = [[int(octave_base_scale * s * x) for x in octave] for s in strides]
        levels = torch.stack([_of_cell(torch.tensor(ratios), x) for x in sides])
        self.of_cell = CellAnchors(levels, strides)

    def forward(self, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
        """Anchors of a batch; see :meth:`CellAnchors.forward`."""
        if len(sizes) != len(self.strides):
            raise ValueError(
                f'anchors have {len(self.strides)} strides {self.strides} but there '
                f'are {len(sizes)} feature maps: compare '
                'bbox_head.anchor_generator.strides with neck.num_outs'
            )
        height, width = (n * self.strides[0] for n in sizes[0])
        device = self.of_cell.anchors.device
        anchors = []
        for of_cell, (rows, columns) in zip(self.of_cell.anchors, sizes):
            y = torch.arange(rows, device=device) * (height // rows)
            x = torch.arange(columns, device=device) * (width // columns)
            y, x = torch.meshgrid(y, x, indexing='ij')
            corners = torch.stack([x, y, x, y], dim=-1)  # (H, W, 4)
            anchors.append((corners[:, :, None] + of_cell).reshape(-1, 4))
        return tuple(anchors)


def _of_cell(ratios: Tensor, sides: Sequence[int]) -> Tensor:
    """``(K, 4)`` anchors of a cell, in whole pixels; ratios vary slowest."""
    root = ratios.sqrt()
    shape = torch.stack([1 / root, root], dim=-1)[:, None]  # (R, 1, 2)
    half = (shape * torch.tensor(sides)[:, None]).reshape(-1, 2) / 2
    return torch.cat([-half, half], dim=-1).round()
