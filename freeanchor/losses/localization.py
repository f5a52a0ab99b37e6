"""How far predicted boxes are from objects: what P_loc falls with."""

from typing import Protocol

import torch
from torch import Tensor

from freeanchor.registry import MODELS
from freeanchor.structures import DensePredictions

from .entries import Entries, read_entries
from .functional import giou_loss, smooth_l1
from .matched import read_boxes


class Distance(Protocol):
    """Compares boxes of (image, anchor) with the objects meant for them."""

    def __call__(
        self,
        predictions: DensePredictions,
        boxes: Tensor,
        image: Tensor,
        anchor: Tensor,
    ) -> Tensor:
        """Distances, differentiable, at least 0.

        Args:
            predictions: Of the batch.
            boxes: ``(..., 4)`` objects, xyxy, pixels.
            image: ``(...)`` int64.
            anchor: ``(...)`` int64, counted over the levels in order.

        Returns:
            ``(...)`` of what the three broadcast to; float32 or wider.
        """


@MODELS.register_module()
class SmoothL1Distance:
    """Smooth L1 distance of the deltas, summed over the four.

    Args:
        beta: Where it turns from quadratic to linear; 0 for L1.
    """

    def __init__(self, beta: float = 0.11) -> None:
        self.beta = beta

    def __call__(
        self,
        predictions: DensePredictions,
        boxes: Tensor,
        image: Tensor,
        anchor: Tensor,
    ) -> Tensor:
        anchors = torch.cat(predictions.anchors)[anchor]
        target = predictions.coder.encode(anchors, boxes)
        deltas = read_entries(predictions.deltas, Entries(image, anchor))
        return smooth_l1(deltas, target.to(deltas.dtype), self.beta)


@MODELS.register_module()
class GIoUDistance:
    """GIoU loss of the predicted boxes, whatever the size of the object."""

    def __call__(
        self,
        predictions: DensePredictions,
        boxes: Tensor,
        image: Tensor,
        anchor: Tensor,
    ) -> Tensor:
        predicted = read_boxes(predictions, image, anchor)
        return giou_loss(predicted, boxes.to(predicted.dtype))
