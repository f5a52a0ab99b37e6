"""Boxes that overlap given objects, without comparing all with all.

The plain form of both searches is a line of :func:`pairwise_iou`, which makes
several ``(G, A)`` tensors. On a CPU, bounds of whole runs of boxes rule out most
pairs first; what is found is the same. On a GPU all are compared, in a kernel that
keeps the best of each run only.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from .fusing import can_fuse
from .overlaps import aligned_iou, pairwise_iou
from .runs import RUN, BoxRuns

# (object, run) pairs that are compared at once: what stays in the cache.
_AT_ONCE = 2048
# Objects whose every overlap is listed at once: some megabytes.
_TIED_AT_ONCE = 8
# From so many times ``k`` values on ``topk`` keeps a heap.
_HEAP = 64


def overlapping(
    boxes: Tensor, objects: Tensor, iou_thr: float | Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """All pairs of an object and a box that overlap by more than a threshold.

    Args:
        boxes: ``(A, 4)`` xyxy, pixels.
        objects: ``(G, 4)`` xyxy, pixels.
        iou_thr: One threshold, or ``(G,)`` one for each object.

    Returns:
        Object ``(N,)`` ascending, box ``(N,)`` ascending for each object, and
        their IoU ``(N,)``.
    """
    thresholds = torch.as_tensor(iou_thr, dtype=boxes.dtype, device=boxes.device)
    thresholds = thresholds.expand(len(objects))
    if boxes.device.type != 'cpu':
        ious = pairwise_iou(objects, boxes)
        object_, box = (ious > thresholds[:, None]).nonzero(as_tuple=True)
        return object_, box, ious[object_, box]
    return _above(BoxRuns(boxes), objects, thresholds)


def most_overlapping(boxes: Tensor, objects: Tensor, number: int) -> Tensor:
    """The boxes that overlap each object most.

    Args:
        boxes: ``(A, 4)`` xyxy, pixels.
        objects: ``(G, 4)`` xyxy, pixels.
        number: Boxes for each object, K; of fewer boxes, all.

    Returns:
        ``(G, K)`` int64 indices of boxes, in no particular order; on a CPU those
        that ``topk`` takes of all overlaps, also where some are equal.
    """
    if can_fuse(boxes):
        from . import triton_search  # Triton is not there on every machine

        return triton_search.most_overlapping(boxes, objects, number)
    number = min(number, len(boxes))
    few = len(objects) == 0 or len(boxes) < _HEAP * number
    if few or boxes.device.type != 'cpu':
        return pairwise_iou(objects, boxes).topk(number, dim=1, sorted=False).indices
    runs = BoxRuns(boxes)
    found = []
    for own in objects.split(RUN):
        best, tied = _best(runs, own, number)
        for some in tied.nonzero()[:, 0].split(_TIED_AT_ONCE):
            best[some] = _as_topk_chooses(runs, own[some], number)
        found.append(best)
    return torch.cat(found)


def _above(
    runs: BoxRuns, objects: Tensor, thresholds: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    found = []
    for i in range(0, max(len(objects), 1), RUN):
        bound = runs.iou_bound(objects[i : i + RUN])
        object_, run = (bound > thresholds[i : i + RUN, None]).nonzero(as_tuple=True)
        for pairs in zip((object_ + i).split(_AT_ONCE), run.split(_AT_ONCE)):
            found.append(_compare(runs, objects, thresholds, *pairs))
    object_, box, iou = map(torch.cat, zip(*found))
    return object_, box, iou


def _compare(
    runs: BoxRuns, objects: Tensor, thresholds: Tensor, object_: Tensor, run: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    iou = runs.iou(run, objects[object_])  # (n, RUN)
    pair, place = (iou > thresholds[object_, None]).nonzero(as_tuple=True)
    return object_[pair], run[pair] * RUN + place, iou[pair, place]


def _best(runs: BoxRuns, objects: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """``(G, number)`` boxes, and ``(G,)`` whether others are as good as the last."""
    bound = runs.iou_bound(objects)
    num_runs = bound.shape[1]
    tried = min(2 * number, num_runs)
    while True:
        bounds, run = bound.topk(min(tried + 1, num_runs), dim=1)
        iou = runs.iou(run[:, :tried], objects[:, None]).flatten(1)
        best, place = iou.topk(number + 1, dim=1)
        last, next_best = best[:, -2], best[:, -1]
        # A run that was not tried has nothing at its bound or above.
        settled = (bounds[:, -1] < last) | (last == 0)
        if tried == num_runs or settled.all():
            tied = (last == next_best) | (last == 0)
            place = place[:, :number]
            return run.gather(1, place // RUN) * RUN + place % RUN, tied
        tried = min(2 * tried, num_runs)


def _as_topk_chooses(runs: BoxRuns, objects: Tensor, number: int) -> Tensor:
    """``(G, number)`` what ``topk`` over all boxes takes, of equal ones too.

    It keeps a heap of the first ``number`` boxes and lets in what exceeds its
    least. What overlaps nothing is never let in, and so can be left out.
    """
    object_, box, iou = _above(runs, objects, objects.new_zeros(len(objects)))
    edges = torch.searchsorted(object_, torch.arange(len(objects) + 1)).tolist()
    first = torch.arange(number)
    first_iou = aligned_iou(runs.boxes[:number], objects[:, None])  # (G, number)
    found = [first.new_empty(0, number)]
    for i, (start, end) in enumerate(pairwise(edges)):
        start += int(torch.searchsorted(box[start:end], number))
        index = torch.cat([first, box[start:end]])
        own = torch.cat([first_iou[i], iou[start:end]])
        # For fewer it would not use a heap.
        own = F.pad(own, (0, max(0, _HEAP * number - len(own))), value=-1.0)
        found.append(index[own.topk(number, sorted=False).indices][None])
    return torch.cat(found)
