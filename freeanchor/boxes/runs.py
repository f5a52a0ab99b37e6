"""Bounds of many neighbouring boxes at once, to leave most pairs uncompared."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .overlaps import iou_of_sides

RUN = 32
"""Boxes in a run: neighbours in a map, so their common bound is small."""

# Bounds are rounded as overlaps are; a few ulps must not cost a pair.
_SLACK = 1 + 1e-5


def _or(x: Tensor, value: float) -> Tensor:
    """``x``, and ``value`` where it is no number."""
    return x.masked_fill_(x.isnan(), value)


class BoxRuns:
    """``(A, 4)`` xyxy boxes in runs of ``RUN`` consecutive ones, R in all.

    Dense predictions and anchors stand in the order of their places in the
    image, so most runs are far from any one object.
    """

    def __init__(self, boxes: Tensor) -> None:
        self.boxes = boxes
        lacking = -len(boxes) % RUN
        # The last run is filled up with its last box, which changes no bound.
        filled = F.pad(boxes.T, (0, lacking), mode='replicate') if lacking else boxes.T
        self.sides = filled.reshape(4, -1, RUN).contiguous()  # left, top, right, bottom
        left, top, right, bottom = self.sides  # (R, RUN) each
        areas = (right - left) * (bottom - top)
        # A box that is no number says nothing of the others of its run.
        least_area, most_area = areas.aminmax(dim=1)
        self.least_area, self.most_area = _or(least_area, 0), _or(most_area, math.inf)
        self.left = _or(left.amin(dim=1), -math.inf)
        self.top = _or(top.amin(dim=1), -math.inf)
        self.right = _or(right.amax(dim=1), math.inf)
        self.bottom = _or(bottom.amax(dim=1), math.inf)

    def iou_bound(self, objects: Tensor) -> Tensor:
        """``(G, R)`` what no box of a run exceeds in IoU with an object.

        Args:
            objects: ``(G, 4)`` xyxy, pixels.
        """
        left, top, right, bottom = objects[:, :, None].unbind(1)  # (G, 1) each
        area = (right - left) * (bottom - top)
        width = torch.minimum(right, self.right).sub_(torch.maximum(left, self.left))
        shared = torch.minimum(bottom, self.bottom)
        shared.sub_(torch.maximum(top, self.top)).clamp_(min=0)
        shared.mul_(width.clamp_(min=0))
        torch.minimum(shared, torch.minimum(area, self.most_area), out=shared)
        # The union is at least either area, and their sum less what they share.
        union = torch.add(area, self.least_area).sub_(shared)
        torch.maximum(union, torch.maximum(area, self.least_area), out=union)
        return shared.div_(union).mul_(_SLACK)

    def iou(self, runs: Tensor, objects: Tensor) -> Tensor:
        """Overlaps of the boxes of runs with an object each.

        Args:
            runs: ``(...)`` int64.
            objects: ``(..., 4)`` xyxy, pixels; leading dimensions broadcast.

        Returns:
            ``(..., RUN)``, -1 where the last run has no box of its own. The
            index of a box is its run's times ``RUN`` and its place.
        """
        sides = self.sides.flatten(0, 1)
        own = [sides[runs + i * self.sides.shape[1]] for i in range(4)]  # (..., RUN)
        iou = iou_of_sides(own, objects[..., None].unbind(-2))
        own_last = len(self.boxes) - (self.sides.shape[1] - 1) * RUN
        if own_last < RUN:
            iou[..., own_last:].masked_fill_(
                (runs == self.sides.shape[1] - 1)[..., None], -1
            )
        return iou
