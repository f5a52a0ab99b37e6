"""Overlap of boxes."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import box_area, box_iou


def pairwise_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union, ``(N, 4)`` and ``(M, 4)`` xyxy to ``(N, M)``."""
    return box_iou(boxes, others)


def aligned_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of boxes that stand at the same place.

    Args:
        boxes: ``(..., 4)`` xyxy, pixels.
        others: ``(..., 4)`` xyxy, pixels; leading dimensions broadcast.

    Returns:
        ``(...)``, the number :func:`pairwise_iou` has for the same two boxes.
    """
    return iou_of_sides(boxes.unbind(-1), others.unbind(-1))


def iou_of_sides(sides: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """:func:`aligned_iou` of boxes by column, which a CPU reads faster.

    Args:
        sides: Left, top, right and bottom, ``(...)`` each, in pixels.
        others: The same; dimensions broadcast.
    """
    left, top, right, bottom = sides
    other_left, other_top, other_right, other_bottom = others
    width = torch.minimum(right, other_right) - torch.maximum(left, other_left)
    height = torch.minimum(bottom, other_bottom) - torch.maximum(top, other_top)
    shared = width.clamp_(min=0) * height.clamp_(min=0)
    area = (right - left) * (bottom - top)
    other_area = (other_right - other_left) * (other_bottom - other_top)
    return shared / (area + other_area - shared)


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
