"""Which anchors an ignored region takes out of the loss."""

import torch
from torch import Tensor

from freeanchor.boxes import centred_inside, pairwise_iof
from freeanchor.structures import DensePredictions, Objects


def inside_images(predictions: DensePredictions, objects: Objects) -> Tensor:
    """``(B, A)`` bool, which anchors belong to a cell of their padded image."""
    anchors = torch.cat(predictions.anchors)
    return torch.stack([centred_inside(anchors, *x) for x in objects.pad_shapes])


def outside_ignored(
    predictions: DensePredictions, objects: Objects, iof_thr: float | None
) -> Tensor | None:
    """Which anchors count as possible background.

    Args:
        predictions: Of the batch.
        objects: With the regions in ``objects.ignored``.
        iof_thr: An anchor with more than this share of its area inside one
            region does not count; None if all count.

    Returns:
        ``(B, A)`` bool, or None if all count.
    """
    if iof_thr is None:
        return None
    anchors = torch.cat(predictions.anchors)
    # (A, R): does the anchor lie in the region?
    inside = pairwise_iof(anchors, objects.ignored.boxes) > iof_thr
    image = torch.arange(predictions.num_images, device=anchors.device)
    own = objects.ignored.image == image[:, None]  # (B, R)
    return (own.float() @ inside.T.float()) == 0
