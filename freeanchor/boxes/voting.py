"""Boxes moved by the candidates around them that NMS has suppressed."""

import torch
from torch import Tensor

from .candidates import Candidates
from .overlaps import pairwise_iou

# Candidates that overlap a box by less have no vote, as in MMDetection.
_LEAST_IOU = 0.01


def vote(candidates: Candidates, rows: Tensor, sigma: float) -> Tensor:
    """Boxes of some candidates, averaged with those of their kind nearby.

    The score voting of PAA, https://arxiv.org/abs/2007.08103: a candidate of the
    same image and class has ``exp(-(1 - IoU)^2 / sigma)`` times its score as its
    weight.

    Args:
        candidates: Of all images.
        rows: ``(N,)`` int64, the candidates that are kept.
        sigma: The larger, the more votes of candidates that overlap less count.

    Returns:
        ``(N, 4)`` xyxy, pixels.
    """
    iou = pairwise_iou(candidates.boxes[rows], candidates.boxes)  # (N, M)
    weights = torch.exp(-((1 - iou) ** 2) / sigma) * candidates.scores
    same_image = candidates.image[rows, None] == candidates.image
    same_class = candidates.labels[rows, None] == candidates.labels
    weights = weights.where(same_image & same_class & (iou > _LEAST_IOU), 0)
    # No matrix product: autocast would compute it in half precision.
    sides = [(weights * x).sum(dim=1) for x in candidates.boxes.unbind(dim=1)]
    return torch.stack(sides, dim=1) / weights.sum(dim=1, keepdim=True)
