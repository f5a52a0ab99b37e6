"""Deltas as the authors of FreeAnchor, and Detectron, write them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from freeanchor.registry import TASK_UTILS

from .coder import DeltaBoxCoder


@TASK_UTILS.register_module()
class LegacyDeltaBoxCoder:
    """:class:`DeltaBoxCoder` for boxes that were made from first and last pixels.

    maskrcnn-benchmark (``modeling/box_coder.py``) writes a box by its first and
    its last pixel and adds one to each side wherever it uses it. With boxes that
    end one pixel further, where the last pixel does, those are the plain
    formulas. What differs is resizing: there the place of the last pixel is
    scaled, so that the box loses or gains a part of a pixel. Training boxes are
    made so by :class:`freeanchor.datasets.LegacyBoxes`.

    Args:
        stds: See :class:`DeltaBoxCoder`.
        means: See :class:`DeltaBoxCoder`.
    """

    def __init__(
        self,
        stds: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        means: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
    ) -> None:
        self.plain = DeltaBoxCoder(stds, means)
        self.stds, self.means = self.plain.stds, self.plain.means

    def encode(self, anchors: Tensor, boxes: Tensor) -> Tensor:
        """``(..., 4)`` anchors and ``(..., 4)`` boxes to ``(..., 4)`` deltas."""
        return self.plain.encode(anchors, boxes)

    def decode(self, anchors: Tensor, deltas: Tensor) -> Tensor:
        """``(..., 4)`` anchors and ``(..., 4)`` deltas to ``(..., 4)`` boxes."""
        return self.plain.decode(anchors, deltas)

    def to_original(self, boxes: Tensor, scale: Tensor) -> Tensor:
        """Boxes of a resized image in pixels of the original one.

        Args:
            boxes: ``(N, 4)`` xyxy, pixels of the resized image.
            scale: ``(2,)`` or ``(N, 2)``, what width and height were
                multiplied by.
        """
        top_left, bottom_right = boxes.split(2, dim=-1)
        scale = scale.to(boxes.dtype)
        last_pixel = (bottom_right - 1) / scale
        return torch.cat([top_left / scale, last_pixel + 1], dim=-1)
