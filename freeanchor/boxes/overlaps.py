"""Overlap of every box with every other."""

import torch
from torch import Tensor
from torchvision.ops import box_area, box_iou


def pairwise_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union, ``(N, 4)`` and ``(M, 4)`` xyxy to ``(N, M)``."""
    return box_iou(boxes, others)


def pairwise_iof(boxes: Tensor, regions: Tensor) -> Tensor:
    """Share of each box that lies in each region.

    Args:
        boxes: ``(N, 4)`` xyxy, pixels.
        regions: ``(M, 4)`` xyxy, pixels.

    Returns:
        ``(N, M)`` intersection over the area of the box, in [0, 1].
    """
    top_left = torch.maximum(boxes[:, None, :2], regions[:, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], regions[:, 2:])
    shared = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    return shared / box_area(boxes).clamp(min=1e-6)[:, None]
