"""The (anchor, class) entries of a batch that may become detections.

Two ways to the same entries: ``sparse_candidates`` visits what is above the
threshold, which is quickest on a CPU; ``dense_candidates`` has shapes that do
not depend on values, so that a GPU is never waited for and the work can be
recorded in a CUDA graph.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import torch
from torch import Tensor

from .coder import DeltaBoxCoder
from .scoring import PRODUCT, Scoring


@dataclass(frozen=True)
class Candidates:
    """Rows of all images together."""

    boxes: Tensor  # (N, 4) xyxy, pixels, inside the image
    scores: Tensor  # (N,)
    labels: Tensor  # (N,) int64
    image: Tensor  # (N,) int64, ascending or not; B marks a row to leave out


Level = tuple[Tensor, Tensor, Tensor]
"""Logits ``(B, ..., C)``, deltas ``(B, ..., 4)`` and anchors ``(A_l, 4)`` of one
level; the dimensions between count its anchors. Any memory format will do."""


def sparse_candidates(
    levels: Sequence[Level],
    coder: DeltaBoxCoder,
    limits: Tensor,
    score_thr: float,
    nms_pre: int,
    quality: Sequence[Tensor] = (),
    scoring: Scoring = PRODUCT,
) -> Candidates:
    """The ``nms_pre`` best entries above ``score_thr`` of each level and image.

    Args:
        levels: The pyramid's levels.
        coder: How deltas are read.
        limits: ``(B, 2)`` width and height of each image, pixels.
        score_thr: Candidates rank above this.
        nms_pre: Candidates per level and image.
        quality: Per level ``(B, ..., 1)`` logits, or none at all.
        scoring: How class score and quality make a score.
    """
    rows = [
        _above(*level, own, scoring, score_thr, nms_pre)
        for level, own in zip(levels, quality or repeat(None))
    ]
    scores, labels, image, deltas, anchors = map(torch.cat, zip(*rows))
    boxes, solid = _decode(coder, anchors, deltas, limits[image])
    return Candidates(boxes[solid], scores[solid], labels[solid], image[solid])


def dense_candidates(
    levels: Sequence[Level],
    coder: DeltaBoxCoder,
    limits: Tensor,
    score_thr: float,
    nms_pre: int,
    quality: Sequence[Tensor] = (),
    scoring: Scoring = PRODUCT,
) -> Candidates:
    """What :func:`sparse_candidates` finds, in a fixed number of rows.

    Rows that are no candidates have ``image`` B and a box without area.
    Entries are ranked by their logits: among the last places of a level,
    entries whose scores round to the same number may be others.
    """
    rows = [
        _best(*level, own, scoring, nms_pre)
        for level, own in zip(levels, quality or repeat(None))
    ]
    ranks, scores, labels, deltas, anchors = (torch.cat(x, dim=1) for x in zip(*rows))
    boxes, solid = _decode(coder, anchors, deltas, limits[:, None])
    rejected = ~(solid & (ranks > score_thr))
    num_images = len(limits)
    image = torch.arange(num_images, device=scores.device)[:, None]
    image = image.expand_as(scores).masked_fill(rejected, num_images)
    boxes = boxes.masked_fill(rejected[..., None], 0)
    return Candidates(
        boxes.flatten(0, 1), scores.flatten(), labels.flatten(), image.flatten()
    )


def lowest_logit(score_thr: float, dtype: torch.dtype) -> float:
    """A logit below which no score is above ``score_thr``, with some slack.

    The slack covers the rounding of scores, of the threshold and of logits of
    ``dtype``; what lies within it has to be looked at as a score.
    """
    if score_thr <= 0:
        return -math.inf
    if score_thr >= 1:
        return math.inf
    lower = score_thr * (1 - 1e-5)
    logit = math.log(lower) - math.log1p(-lower)
    return logit - 1e-3 - 2 * abs(logit) * torch.finfo(dtype).eps


def _above(
    logits: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    quality: Tensor | None,
    scoring: Scoring,
    score_thr: float,
    limit: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    wide = torch.promote_types(logits.dtype, torch.float32)
    least = scoring.least_class_score(score_thr)
    index = _nonzero(logits > lowest_logit(least, logits.dtype))
    class_scores = logits[tuple(index)].to(wide).sigmoid()
    own = None if quality is None else quality[tuple(index[:-1])][:, 0]
    ranks, scores = scoring.rank_and_score(class_scores, own)

    # By image, best first, and among equals in the order of anchors.
    order = torch.nonzero(ranks > score_thr)[:, 0]
    order = order[ranks[order].sort(descending=True, stable=True).indices]
    order = order[index[0, order].sort(stable=True).indices]
    image = index[0, order]
    rank = torch.arange(len(order), device=order.device)
    order = order[rank - torch.searchsorted(image, image) < limit]

    scores, index = scores[order], index[:, order]
    anchor = _flat(index[1:-1], logits.shape[1:-1])
    found = deltas[tuple(index[:-1])].to(wide)
    return scores, index[-1], index[0], found, anchors[anchor]


def _best(
    logits: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    quality: Tensor | None,
    scoring: Scoring,
    limit: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    num_classes = logits.shape[-1]
    wide = torch.promote_types(logits.dtype, torch.float32)
    order = scoring.order(logits, quality).flatten(1)
    index = order.topk(min(limit, order.shape[1]), sorted=False).indices
    class_scores = logits.flatten(1).gather(1, index).to(wide).sigmoid()
    anchor = index // num_classes
    own = None if quality is None else quality.flatten(1).gather(1, anchor)
    ranks, scores = scoring.rank_and_score(class_scores, own)
    deltas = deltas.flatten(1, -2)
    deltas = deltas.gather(1, anchor[..., None].expand(-1, -1, 4)).to(wide)
    return ranks, scores, index % num_classes, deltas, anchors[anchor]


def _nonzero(mask: Tensor) -> Tensor:
    """``(D, N)`` indices of the true entries of a mask with D dimensions, ascending.

    Entries are visited as they lie in memory and put in order afterwards: they
    are few, and a walk across the memory's order is slow.
    """
    walk = sorted(range(mask.dim()), key=mask.stride, reverse=True)
    found = torch.nonzero(mask.permute(walk)).unbind(1)
    index = torch.stack([found[walk.index(i)] for i in range(mask.dim())])
    if walk != sorted(walk):
        index = index[:, _flat(index, mask.shape).argsort()]
    return index


def _flat(index: Tensor, shape: Sequence[int]) -> Tensor:
    """One index into the flattened ``shape`` from ``(D, N)`` indices."""
    flat = torch.zeros_like(index[0])
    for column, size in zip(index, shape):
        flat = flat * size + column
    return flat


def _decode(
    coder: DeltaBoxCoder, anchors: Tensor, deltas: Tensor, limits: Tensor
) -> tuple[Tensor, Tensor]:
    """Boxes cut at ``(..., 2)`` limits, and which of them have an area."""
    boxes = coder.decode(anchors, deltas)
    limits = torch.cat([limits, limits], dim=-1).to(boxes.dtype)
    boxes = boxes.clamp(min=0).minimum(limits)
    return boxes, (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)
