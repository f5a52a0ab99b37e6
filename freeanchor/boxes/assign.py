"""Hard assignment of objects to anchors by overlap."""

import torch
from torch import Tensor

BACKGROUND, IGNORED = -1, -2


def max_iou_assign(
    ious: Tensor,
    pos_iou: float = 0.5,
    neg_iou: float = 0.4,
    keep_best: bool = True,
) -> Tensor:
    """Give every anchor an object, or the background, or neither.

    From RetinaNet, https://arxiv.org/abs/1708.02002, section 4.

    Args:
        ious: ``(G, A)`` overlaps of the objects and anchors of one image.
        pos_iou: An anchor with an overlap of at least this takes its object.
        neg_iou: An anchor whose best overlap is below this is background.
        keep_best: Also give each object the anchors that overlap it most,
            however little. Of two objects the later takes the anchor.

    Returns:
        ``(A,)`` int64, each anchor's object, or ``BACKGROUND`` or ``IGNORED``.
    """
    num_objects, num_anchors = ious.shape
    if num_objects == 0:  # max() over no rows is undefined
        return ious.new_full((num_anchors,), BACKGROUND, dtype=torch.long)

    best_iou, assigned = ious.max(dim=0)
    assigned[best_iou < pos_iou] = IGNORED
    assigned[best_iou < neg_iou] = BACKGROUND
    if keep_best:
        is_best = (ious == ious.amax(dim=1, keepdim=True)) & (ious > 0)
        rank = torch.arange(1, num_objects + 1, device=ious.device)[:, None]
        last = (is_best * rank).amax(dim=0)  # 0 where best of no object
        assigned = assigned.where(last == 0, last - 1)
    return assigned
