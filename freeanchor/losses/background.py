"""The cost of saying "object" anywhere, summed over everything."""

import torch
from torch import Tensor

from freeanchor.structures import DensePredictions

from .functional import focal_negative, wide


def sum_background(
    predictions: DensePredictions, gamma: float, counted: Tensor | None = None
) -> Tensor:
    """Sum of ``p^gamma * -log(1 - p)`` over images, anchors and classes.

    Level by level, because a copy of all logits in one row is what makes
    dense losses slow.

    Args:
        predictions: Of the batch.
        gamma: Focusing power.
        counted: ``(B, A)`` bool, anchors that take part; None for all.

    Returns:
        Scalar, float32 or wider.
    """
    total = torch.zeros((), device=predictions.anchors[0].device)
    start = 0
    for logits in predictions.logits:
        cost = focal_negative(wide(logits), gamma)  # (B, A_l, C)
        end = start + logits.shape[1]
        if counted is not None:
            cost = cost * counted[:, start:end, None]
        total = total + cost.sum()
        start = end
    return total
