"""The cost of saying "object" anywhere, and logits at a few places."""

import torch
from torch import Tensor

from freeanchor.boxes import can_fuse
from freeanchor.structures import DensePredictions

from .entries import Entries, reader_of
from .functional import focal_negative, wide
from .kernels.chunked import ChunkedBackground
from .reading import is_dense, read_once


def sum_background(
    predictions: DensePredictions, gamma: float, counted: Tensor | None = None
) -> Tensor:
    """Sum of ``p^gamma * -log(1 - p)`` over images, anchors and classes.

    The plain form of what :func:`background_and_logits` computes.

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
        cost = focal_negative(wide(logits), gamma)  # (B, P_l, K, C)
        end = start + logits.shape[1] * logits.shape[2]
        if counted is not None:
            mask = counted[:, start:end].reshape(logits.shape[:3])
            cost = cost * mask[..., None]
        total = total + cost.sum()
        start = end
    return total


def is_fused(predictions: DensePredictions) -> bool:
    """Whether Triton's kernels read these predictions."""
    return all(can_fuse(x) and is_dense(x) for x in predictions.logits)


def background_and_logits(
    predictions: DensePredictions,
    gamma: float,
    counted: Tensor | None,
    *entries: Entries,
) -> tuple[Tensor, ...]:
    """Cost of the background, and logits at a few places, read in one go.

    Args:
        predictions: Of the batch.
        gamma: Focusing power.
        counted: ``(B, A)`` bool, anchors that take part; None for all.
        entries: Places to read logits at.

    Returns:
        The scalar of :func:`sum_background`, then the logits of each of
        ``entries``, in its shape; float32 or wider.
    """
    logits = predictions.logits
    if is_fused(predictions):
        from .kernels.triton_background import TritonBackground

        readers = (reader_of(x, logits) for x in entries)
        return read_once(logits, TritonBackground(gamma, counted), *readers)
    if logits[0].device.type == 'cpu' and all(map(is_dense, logits)):
        return read_once(logits, ChunkedBackground(gamma, counted), *entries)
    background = sum_background(predictions, gamma, counted)
    return background, *(x.read(logits) for x in entries)
