"""From the dense predictions of a batch to each image's short list."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchvision.ops import batched_nms, nms

from .candidates import Candidates, Level, dense_candidates, sparse_candidates
from .coder import DeltaBoxCoder
from .scoring import Scoring
from .voting import vote

NMS_BOXES = 2**15
"""Boxes that one call of a GPU's NMS compares pairwise: 128 MiB of bits."""


def select_batch(
    levels: Sequence[Level],
    coder: DeltaBoxCoder,
    limits: Tensor,
    score_thr: float = 0.05,
    nms_pre: int = 1000,
    nms_iou: float = 0.5,
    max_per_img: int = 100,
    rank_powers: tuple[float, float] = (1.0, 0.0),
    score_powers: tuple[float, float] = (1.0, 1.0),
    voting_sigma: float | None = None,
    quality: Sequence[Tensor] = (),
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Keep the best boxes of each image of a batch.

    Gives what :func:`freeanchor.boxes.select_detections` gives for each image.

    Args:
        levels: Logits ``(B, ..., C)``, deltas ``(B, ..., 4)`` and anchors
            ``(A_l, 4)`` of each pyramid level, in any memory format.
        coder: How deltas are read.
        limits: ``(B, 2)`` width and height of each image, pixels.
        score_thr: Candidates must rank above this.
        nms_pre: Candidates (anchor and class) kept per level and image.
        nms_iou: Of two boxes of a class that overlap more, the lower goes.
        max_per_img: Boxes kept of each image.
        rank_powers: See :class:`freeanchor.boxes.scoring.Scoring`.
        score_powers: See :class:`freeanchor.boxes.scoring.Scoring`.
        voting_sigma: See :func:`freeanchor.boxes.voting.vote`; None for boxes to
            stay as they are.
        quality: Per level ``(B, ..., 1)`` logits, or none at all.

    Returns:
        For each image boxes ``(N, 4)`` xyxy in pixels, scores ``(N,)`` and
        labels ``(N,)``, best first; float32 or wider.
    """
    find = candidate_finder(limits.device)
    scoring = Scoring(rank_powers, score_powers)
    candidates = find(levels, coder, limits, score_thr, nms_pre, quality, scoring)
    return suppress(candidates, len(limits), nms_iou, max_per_img, voting_sigma)


def candidate_finder(device: torch.device) -> Callable[..., Candidates]:
    """The way to find candidates that is quickest on a device."""
    return sparse_candidates if device.type == 'cpu' else dense_candidates


def suppress(
    candidates: Candidates,
    num_images: int,
    nms_iou: float,
    max_per_img: int,
    voting_sigma: float | None = None,
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Class-wise NMS of all images at once; the best ``max_per_img`` of each."""
    if not candidates.boxes.is_cuda:
        keep = _nms_by_image(candidates, num_images, nms_iou)
    else:
        num_classes = 1 + candidates.labels.max() if len(candidates.labels) else 1
        group = candidates.image * num_classes + candidates.labels
        # Dense candidates: as many rows for each image, one image after another.
        block = max(1, len(group) // num_images)
        block *= max(1, NMS_BOXES // block)
        keep = nms_by_offset(candidates.boxes, candidates.scores, group, nms_iou, block)

    # By image, best first, and among equals in the order of candidates.
    keep = keep.sort().values
    keep = keep[candidates.scores[keep].sort(descending=True, stable=True).indices]
    image, order = candidates.image[keep].sort(stable=True)
    keep = keep[order]
    of_image = image[:, None] == torch.arange(num_images, device=image.device)
    found, start = [], 0
    for count in of_image.sum(dim=0).tolist():
        rows = keep[start : start + min(count, max_per_img)]
        boxes = candidates.boxes[rows]
        if voting_sigma is not None:
            boxes = vote(candidates, rows, voting_sigma)
        found.append((boxes, candidates.scores[rows], candidates.labels[rows]))
        start += count
    return found


def _nms_by_image(candidates: Candidates, num_images: int, nms_iou: float) -> Tensor:
    """Rows that stay. Image by image: offsets of a whole batch round boxes."""
    keep = [candidates.image.new_empty(0)]
    for image in range(num_images):
        (rows,) = (candidates.image == image).nonzero(as_tuple=True)
        boxes, scores = candidates.boxes[rows], candidates.scores[rows]
        keep.append(rows[batched_nms(boxes, scores, candidates.labels[rows], nms_iou)])
    return torch.cat(keep)


def nms_by_offset(
    boxes: Tensor, scores: Tensor, group: Tensor, nms_iou: float, block: int
) -> Tensor:
    """NMS within groups by plain NMS of boxes that are moved apart.

    Float64 holds the moved corners exactly; in float32 a batch of 80 classes
    would lose a sixteenth of a pixel.

    Args:
        boxes: ``(N, 4)`` xyxy, pixels.
        scores: ``(N,)``.
        group: ``(N,)`` int64; boxes of other groups do not matter.
        nms_iou: Of two boxes that overlap more, the lower goes.
        block: Rows of one call of NMS; no group may be in two blocks.

    Returns:
        Rows that stay, in no order.
    """
    if not len(boxes):
        return group
    apart = boxes.double() + group[:, None] * (boxes.max().double().ceil() + 1)
    keep = [
        nms(apart[i : i + block], scores[i : i + block].double(), nms_iou) + i
        for i in range(0, len(boxes), block)
    ]
    return torch.cat(keep)
