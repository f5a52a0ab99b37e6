"""Anchors given to objects by overlap, image by image."""

import torch
from torch import Tensor

from freeanchor.boxes import assign_by_iou, centred_inside
from freeanchor.structures import DensePredictions, Objects


@torch.no_grad()
def assign_anchors(
    predictions: DensePredictions, objects: Objects, pos_iou: float, neg_iou: float
) -> Tensor:
    """Each anchor's object.

    Args:
        predictions: Of the batch.
        objects: Of the batch.
        pos_iou: See :func:`freeanchor.boxes.max_iou_assign`.
        neg_iou: See :func:`freeanchor.boxes.max_iou_assign`.

    Returns:
        ``(B, A)`` int64, indices into ``objects``, or ``BACKGROUND`` or
        ``IGNORED``. Anchors of the padding are ignored.
    """
    anchors = torch.cat(predictions.anchors)
    assigned = objects.labels.new_empty(predictions.num_images, len(anchors))
    first = 0
    own = objects.boxes.split(objects.counts)
    for row, boxes, size in zip(assigned, own, objects.pad_shapes):
        valid = centred_inside(anchors, *size)  # (A,)
        found = assign_by_iou(anchors, boxes, valid, pos_iou, neg_iou)
        row[:] = found.where(found < 0, found + first)
        first += len(boxes)
    return assigned
