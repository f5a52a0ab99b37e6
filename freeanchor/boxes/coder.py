"""Boxes written relative to anchors, and back."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from freeanchor.registry import TASK_UTILS

MAX_LOG_RATIO = math.log(1000 / 16)
"""Bound on |log(box side / anchor side)|, so that ``exp`` cannot overflow."""


@TASK_UTILS.register_module()
class DeltaBoxCoder:
    """Write a box as shift and log-scale ``(dx, dy, dw, dh)`` of an anchor.

    Shifts are in units of the anchor's sides. Boxes and anchors are xyxy in
    pixels; leading dimensions broadcast. Results have the wider of the two
    dtypes. From R-CNN, https://arxiv.org/abs/1311.2524, appendix C.

    Args:
        stds: What each delta is divided by, so that all four have about the
            same spread.
        means: What is subtracted from each delta before that.
    """

    def __init__(
        self,
        stds: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        means: Sequence[float] = (0.0, 0.0, 0.0, 0.0),
    ) -> None:
        self.stds = tuple(stds)
        self.means = tuple(means)

    def encode(self, anchors: Tensor, boxes: Tensor) -> Tensor:
        """``(..., 4)`` anchors and ``(..., 4)`` boxes to ``(..., 4)`` deltas."""
        anchor_x, anchor_y, anchor_w, anchor_h = _center_size(anchors)
        x, y, w, h = _center_size(boxes)
        deltas = (
            (x - anchor_x) / anchor_w,
            (y - anchor_y) / anchor_h,
            (w / anchor_w).log(),
            (h / anchor_h).log(),
        )
        scaled = [(d - m) / s for d, m, s in zip(deltas, self.means, self.stds)]
        return torch.stack(scaled, dim=-1)

    def decode(self, anchors: Tensor, deltas: Tensor) -> Tensor:
        """``(..., 4)`` anchors and ``(..., 4)`` deltas to ``(..., 4)`` boxes."""
        anchor_x, anchor_y, anchor_w, anchor_h = _center_size(anchors)
        deltas = deltas.to(torch.promote_types(deltas.dtype, anchors.dtype))
        dx, dy, dw, dh = (
            d * s + m for d, s, m in zip(deltas.unbind(-1), self.stds, self.means)
        )
        x, y = anchor_x + anchor_w * dx, anchor_y + anchor_h * dy
        half_w = anchor_w * dw.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp() / 2
        half_h = anchor_h * dh.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp() / 2
        return torch.stack([x - half_w, y - half_h, x + half_w, y + half_h], dim=-1)

    def to_original(self, boxes: Tensor, scale: Tensor) -> Tensor:
        """Boxes of a resized image in pixels of the original one.

        Args:
            boxes: ``(N, 4)`` xyxy, pixels of the resized image.
            scale: ``(2,)`` or ``(N, 2)``, what width and height were
                multiplied by.
        """
        return boxes / torch.cat([scale, scale], dim=-1).to(boxes.dtype)


def _center_size(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(dim=-1)
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
