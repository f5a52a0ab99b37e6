"""What is predicted at the anchors that a loss has matched with objects."""

import torch
from torch import Tensor

from freeanchor.structures import DensePredictions

from .entries import Entries, read_entries


def read_boxes(predictions: DensePredictions, image: Tensor, anchor: Tensor) -> Tensor:
    """Predicted boxes of a few anchors, differentiable.

    Args:
        predictions: Of the batch.
        image: ``(...)`` int64.
        anchor: ``(...)`` int64, counted over the levels in order.

    Returns:
        ``(..., 4)`` xyxy, pixels, float32 or wider.
    """
    anchors = torch.cat(predictions.anchors)[anchor]
    deltas = read_entries(predictions.deltas, Entries(image, anchor))
    return predictions.coder.decode(anchors, deltas)


def read_quality(
    predictions: DensePredictions, image: Tensor, anchor: Tensor
) -> Tensor:
    """What the quality branch says of a few anchors, differentiable.

    Args:
        predictions: Of a head that has such a branch.
        image: ``(...)`` int64.
        anchor: ``(...)`` int64, counted over the levels in order.

    Returns:
        ``(...)`` logits, float32 or wider.
    """
    only = torch.zeros_like(anchor)
    return read_entries(predictions.quality, Entries(image, anchor, only))
