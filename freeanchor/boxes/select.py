"""From dense predictions to a short list of detections."""

from collections.abc import Iterable, Sequence
from itertools import repeat

import torch
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image

from .candidates import Candidates
from .coder import DeltaBoxCoder
from .scoring import Scoring
from .voting import vote


def select_detections(
    levels: Iterable[tuple[Tensor, Tensor, Tensor]],
    coder: DeltaBoxCoder,
    image_size: tuple[int, int],
    score_thr: float = 0.05,
    nms_pre: int = 1000,
    nms_iou: float = 0.5,
    max_per_img: int = 100,
    rank_powers: tuple[float, float] = (1.0, 0.0),
    score_powers: tuple[float, float] = (1.0, 1.0),
    voting_sigma: float | None = None,
    quality: Sequence[Tensor] = (),
) -> tuple[Tensor, Tensor, Tensor]:
    """Keep the best boxes of one image.

    The plain form of :func:`freeanchor.boxes.select_batch.select_batch`.

    Args:
        levels: Logits ``(A_l, C)``, deltas ``(A_l, 4)`` and anchors
            ``(A_l, 4)`` of each pyramid level.
        coder: How deltas are read.
        image_size: Height and width that boxes are clipped to, pixels.
        score_thr: Candidates must rank above this.
        nms_pre: Candidates (anchor and class) kept per level.
        nms_iou: Of two boxes of a class that overlap more, the lower goes.
        max_per_img: Boxes kept in the end.
        rank_powers: See :class:`freeanchor.boxes.scoring.Scoring`.
        score_powers: See :class:`freeanchor.boxes.scoring.Scoring`.
        voting_sigma: See :func:`freeanchor.boxes.voting.vote`; None for boxes to
            stay as they are.
        quality: Logits ``(A_l, 1)`` of each level, or none at all.

    Returns:
        Boxes ``(N, 4)`` xyxy in pixels, scores ``(N,)`` and labels ``(N,)``,
        best first.
    """
    scoring = Scoring(rank_powers, score_powers)
    candidates = [
        _top(*level, own, scoring, score_thr, nms_pre)
        for level, own in zip(levels, quality or repeat(None))
    ]
    scores, labels, deltas, anchors = map(torch.cat, zip(*candidates))
    boxes = clip_boxes_to_image(coder.decode(anchors, deltas), image_size)

    solid = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    boxes, scores, labels = boxes[solid], scores[solid], labels[solid]

    keep = batched_nms(boxes, scores, labels, nms_iou)[:max_per_img]
    found = boxes[keep]
    if voting_sigma is not None:
        one = torch.zeros_like(labels)
        found = vote(Candidates(boxes, scores, labels, one), keep, voting_sigma)
    return found, scores[keep], labels[keep]


def _top(
    logits: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    quality: Tensor | None,
    scoring: Scoring,
    score_thr: float,
    limit: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    wide = torch.promote_types(logits.dtype, torch.float32)
    ranks, scores = scoring.rank_and_score(logits.to(wide).sigmoid(), quality)
    index, labels = torch.nonzero(ranks > score_thr, as_tuple=True)
    order = ranks[index, labels].argsort(descending=True, stable=True)[:limit]
    index, labels = index[order], labels[order]
    return scores[index, labels], labels, deltas[index].to(wide), anchors[index]
