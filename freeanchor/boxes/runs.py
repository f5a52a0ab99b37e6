"""Bounds of many neighbouring boxes at once, to leave most pairs uncompared."""

import torch
import torch.nn.functional as F
from torch import Tensor

RUN = 32
"""Boxes in a run: neighbours in a map, so their common bound is small."""

# Bounds are rounded as overlaps are; a few ulps must not cost a pair.
_SLACK = 1 + 1e-5


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
        left, top, right, bottom = filled.reshape(4, -1, RUN)  # (R, RUN) each
        areas = (right - left) * (bottom - top)
        self.least_area, self.most_area = areas.aminmax(dim=1)
        self.left, self.top = left.amin(dim=1), top.amin(dim=1)
        self.right, self.bottom = right.amax(dim=1), bottom.amax(dim=1)

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

    def members(self, runs: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes of runs.

        Args:
            runs: ``(...)`` int64.

        Returns:
            ``(..., RUN)`` int64 indices of boxes, and ``(..., RUN)`` bool, false
            where the last run has no box of its own.
        """
        index = runs[..., None] * RUN + torch.arange(RUN, device=runs.device)
        real = index < len(self.boxes)
        return index.clamp(max=len(self.boxes) - 1), real
