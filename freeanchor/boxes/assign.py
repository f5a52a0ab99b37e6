"""Hard assignment of objects to anchors by overlap."""

import torch
from torch import Tensor

from .overlaps import aligned_iou, pairwise_iou
from .search import most_overlapping, overlapping

BACKGROUND, IGNORED = -1, -2


def max_iou_assign(
    ious: Tensor,
    pos_iou: float = 0.5,
    neg_iou: float = 0.4,
) -> Tensor:
    """Give every anchor an object, or the background, or neither.

    Each object also gets the anchors that overlap it most, however little; of
    two objects the later takes the anchor. From RetinaNet,
    https://arxiv.org/abs/1708.02002, section 4, and MMDetection.

    Args:
        ious: ``(G, A)`` overlaps of the objects and anchors of one image.
        pos_iou: An anchor with an overlap of at least this takes its object.
        neg_iou: An anchor whose best overlap is below this is background.

    Returns:
        ``(A,)`` int64, each anchor's object, or ``BACKGROUND`` or ``IGNORED``.
    """
    num_objects, num_anchors = ious.shape
    if num_objects == 0:  # max() over no rows is undefined
        return ious.new_full((num_anchors,), BACKGROUND, dtype=torch.long)

    best_iou, assigned = ious.max(dim=0)
    assigned[best_iou < pos_iou] = IGNORED
    assigned[best_iou < neg_iou] = BACKGROUND
    is_best = (ious == ious.amax(dim=1, keepdim=True)) & (ious > 0)
    rank = torch.arange(1, num_objects + 1, device=ious.device)[:, None]
    last = (is_best * rank).amax(dim=0)  # 0 where best of no object
    return assigned.where(last == 0, last - 1)


def assign_by_iou(
    anchors: Tensor,
    objects: Tensor,
    valid: Tensor,
    pos_iou: float = 0.5,
    neg_iou: float = 0.4,
) -> Tensor:
    """:func:`max_iou_assign`, on a CPU without all overlaps of all anchors.

    Args:
        anchors: ``(A, 4)`` xyxy, pixels.
        objects: ``(G, 4)`` xyxy, pixels, of one image.
        valid: ``(A,)`` bool; the others are ignored.
        pos_iou: See :func:`max_iou_assign`.
        neg_iou: See :func:`max_iou_assign`.

    Returns:
        ``(A,)`` int64, each anchor's object, or ``BACKGROUND`` or ``IGNORED``.
    """
    if anchors.device.type != 'cpu':
        # A list of the valid ones would have to wait for the device.
        ious = pairwise_iou(objects, anchors).where(valid, -1)
        return max_iou_assign(ious, pos_iou, neg_iou).where(valid, IGNORED)
    assigned = torch.full((len(anchors),), IGNORED)
    assigned[valid] = _assign_sparsely(anchors[valid], objects, pos_iou, neg_iou)
    return assigned


def _assign_sparsely(
    anchors: Tensor, objects: Tensor, pos_iou: float, neg_iou: float
) -> Tensor:
    nearest = most_overlapping(anchors, objects, 1)[:, 0]
    best = aligned_iou(anchors[nearest], objects)  # (G,)
    # Below both, an overlap decides nothing; the slack keeps equal ones.
    object_, anchor, iou = overlapping(
        anchors, objects, best.clamp(max=neg_iou) * (1 - 1e-6)
    )
    best_iou = anchors.new_zeros(len(anchors)).scatter_reduce(0, anchor, iou, 'amax')

    # Of equal overlaps the first object counts, as in max().
    of_best = torch.where(iou == best_iou[anchor], object_, len(objects))
    assigned = anchor.new_full((len(anchors),), len(objects))
    assigned.scatter_reduce_(0, anchor, of_best, 'amin')
    assigned[best_iou < pos_iou] = IGNORED
    assigned[best_iou < neg_iou] = BACKGROUND

    is_best = (iou == best[object_]) & (iou > 0)
    last = torch.zeros_like(assigned)
    last.scatter_reduce_(0, anchor, (object_ + 1) * is_best, 'amax')
    return assigned.where(last == 0, last - 1)
