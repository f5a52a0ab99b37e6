"""Anchors given to objects by a threshold that each object sets for itself."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .centres import centres
from .overlaps import aligned_iou

# Pixels; an anchor whose centre is nearer to an object's side is not inside.
_MARGIN = 0.01


class Candidates(NamedTuple):
    """Anchors near each object, and which of them the object gets."""

    anchor: Tensor  # (G, N) int64, counted over the levels in order
    positive: Tensor  # (G, N) bool, in all rows of an image once for an anchor


def atss_assign(
    levels: Sequence[Tensor],
    boxes: Tensor,
    image: Tensor,
    valid: Tensor,
    topk: int = 9,
) -> Candidates:
    """Choose each object's anchors by the statistics of their overlaps.

    Candidates are all anchors of the ``topk`` positions of each level that are
    nearest to the object's centre. Those that overlap the object by at least
    the mean plus the standard deviation of all its candidates, and whose
    centre is inside, are its positives. Of several objects an anchor takes the
    one that it overlaps most; of equal ones the first. From ATSS,
    https://arxiv.org/abs/1912.02424, algorithm 1, and the authors' code.
    MMDetection counts anchors, not positions; with one anchor a position that
    is the same.

    Args:
        levels: Anchors of each level, ``(P_l, K, 4)`` xyxy, pixels.
        boxes: ``(G, 4)`` objects of all images, xyxy, pixels.
        image: ``(G,)`` int64, the image of each.
        valid: ``(B, A)`` bool; other anchors are no candidates.
        topk: Positions of each level.
    """
    nearest, start = [], 0
    for anchors in levels:
        end = start + anchors.shape[:2].numel()
        own = valid[:, start:end].reshape(-1, *anchors.shape[:2]).any(dim=2)
        nearest.append(_nearest(anchors, boxes, own[image], topk) + start)
        start = end
    anchor = torch.cat(nearest, dim=1)  # (G, N)
    candidates = torch.cat([x.flatten(0, 1) for x in levels])[anchor]  # (G, N, 4)
    own_valid = valid[image[:, None], anchor]

    iou = aligned_iou(candidates, boxes[:, None])  # (G, N)
    claims = own_valid & (iou >= _threshold(iou, own_valid))
    claims &= _centred_in(candidates, boxes[:, None])
    place = image[:, None] * valid.shape[1] + anchor
    return Candidates(anchor, _best_claims(place, iou, claims, valid.numel()))


def _nearest(anchors: Tensor, boxes: Tensor, valid: Tensor, topk: int) -> Tensor:
    """``(G, topk * K)`` anchors of a level at the positions nearest to objects.

    Args:
        anchors: ``(P, K, 4)``.
        boxes: ``(G, 4)``.
        valid: ``(G, P)`` bool; these positions come first.
        topk: Positions; of fewer, all.
    """
    positions, per_position, _ = anchors.shape
    x, y = centres(anchors).mean(dim=1).unbind(1)  # (P,) each
    box_x, box_y = centres(boxes)[..., None].unbind(1)  # (G, 1) each
    distance = (x - box_x).square_().add_((y - box_y).square_()).sqrt_()
    distance.masked_fill_(~valid, torch.inf)  # (G, P)
    near = distance.topk(min(topk, positions), dim=1, largest=False).indices
    members = torch.arange(per_position, device=anchors.device)
    return (near[..., None] * per_position + members).flatten(1)


def _threshold(iou: Tensor, valid: Tensor) -> Tensor:
    """``(G, 1)`` mean and standard deviation of each row's valid entries, added."""
    count = valid.sum(dim=1, keepdim=True)
    iou = iou.where(valid, 0)
    mean = iou.sum(dim=1, keepdim=True) / count.clamp(min=1)
    squares = (iou - mean).pow(2).where(valid, 0).sum(dim=1, keepdim=True)
    # The slack is that of rounding: where all are equal, all are at the threshold.
    slack = 4 * torch.finfo(iou.dtype).eps
    return mean + (squares / (count - 1).clamp(min=1)).sqrt() - slack


def _centred_in(anchors: Tensor, boxes: Tensor) -> Tensor:
    """``(...)`` bool, whether anchors have their centres inside boxes."""
    middle = centres(anchors)
    before, behind = middle - boxes[..., :2], boxes[..., 2:] - middle
    return torch.minimum(before, behind).amin(dim=-1) > _MARGIN


def _best_claims(place: Tensor, iou: Tensor, claims: Tensor, num_places: int) -> Tensor:
    """``(G, N)`` bool: of the claims to each place, the one that overlaps most."""
    flat = place.flatten()
    iou = iou.where(claims, -1)
    most = iou.new_full((num_places,), -1)
    most.scatter_reduce_(0, flat, iou.flatten(), 'amax')
    best = claims & (iou == most[place])

    row = torch.arange(len(place), device=place.device)[:, None]
    first = place.new_full((num_places,), len(place))
    first.scatter_reduce_(0, flat, row.where(best, len(place)).flatten(), 'amin')
    return best & (first[place] == row)
