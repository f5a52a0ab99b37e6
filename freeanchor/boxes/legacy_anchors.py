"""Anchors as the authors of FreeAnchor, and Detectron, lay them out."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from freeanchor.registry import TASK_UTILS

from .cell_anchors import CellAnchors


@TASK_UTILS.register_module()
class LegacyAnchorGenerator(nn.Module):
    """Anchors whose sides are rounded, in the middle of their cells.

    A square of the stride's side is given each ratio, its sides are rounded to
    whole pixels, and only then is it scaled. From maskrcnn-benchmark,
    ``modeling/rpn/anchor_generator.py``, which writes a box by its first and
    its last pixel; here it ends where the last pixel does, one pixel further.
    So the plain overlap of these boxes is that of theirs, where every side is
    counted with one pixel added.

    Args:
        strides: Pixels between neighbouring cells, one per level.
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
        octave = torch.arange(scales_per_octave, dtype=torch.float64)
        scales = octave_base_scale * 2 ** (octave / scales_per_octave)
        heights = torch.tensor(ratios, dtype=torch.float64)  # over widths
        levels = torch.stack([_of_cell(s, heights, scales) for s in strides])
        self.of_cell = CellAnchors(levels, strides)

    def forward(self, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
        """Anchors of a batch; see :meth:`CellAnchors.forward`."""
        return self.of_cell(sizes)


def _of_cell(stride: int, ratios: Tensor, scales: Tensor) -> Tensor:
    """``(K, 4)`` anchors of a cell; ratios vary slowest."""
    width = (stride**2 / ratios).sqrt().round()
    sides = torch.stack([width, (width * ratios).round()], dim=-1)  # (R, 2)
    half = (sides[:, None] * scales[:, None]).reshape(-1, 2) / 2
    # Theirs are centred at (stride - 1) / 2, which is the middle of the pixels.
    middle = stride / 2
    return torch.cat([middle - half, middle + half], dim=-1)
