"""Anchors given to objects by how well they already do."""

import torch
from torch import Tensor


def task_aligned_assign(
    alignment: Tensor, ious: Tensor, inside: Tensor, number: int
) -> tuple[Tensor, Tensor]:
    """Give each object the best aligned anchors whose centres it holds.

    Of several objects an anchor takes the one that its box overlaps most; of
    equal ones the first. From TOOD, https://arxiv.org/abs/2108.07755, section
    3.2.1, and MMDetection.

    Args:
        alignment: ``(G, A)`` how well an anchor's class and box fit an object;
            ``-inf`` for none at all.
        ious: ``(G, A)`` overlaps of the objects and the predicted boxes.
        inside: ``(G, A)`` bool, whether an anchor's centre lies in the object.
        number: Anchors an object asks for, K; of fewer anchors, all.

    Returns:
        ``(G, K)`` int64 anchors, and ``(G, K)`` bool: which of them the object
        gets.
    """
    num_objects, num_anchors = ious.shape
    best, anchor = alignment.topk(min(number, num_anchors), dim=1)
    candidate = inside.gather(1, anchor) & (best > -torch.inf)

    iou = ious.gather(1, anchor).where(candidate, -1)
    flat = anchor.flatten()
    most = ious.new_full((num_anchors,), -1)
    most.scatter_reduce_(0, flat, iou.flatten(), 'amax')
    claims = candidate & (iou == most[anchor])

    row = torch.arange(num_objects, device=ious.device)[:, None]
    first = anchor.new_full((num_anchors,), num_objects)
    first.scatter_reduce_(0, flat, row.where(claims, num_objects).flatten(), 'amin')
    return anchor, claims & (first[anchor] == row)
