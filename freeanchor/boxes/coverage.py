"""How well anchors can cover objects, before anything is learned."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .overlaps import aligned_iou
from .search import most_overlapping


def bag_overlaps(anchors: Tensor, objects: Tensor, bag_size: int) -> Tensor:
    """IoU of each object with the anchors of its bag, as FreeAnchor makes it.

    Args:
        anchors: ``(A, 4)`` xyxy, pixels.
        objects: ``(G, 4)`` xyxy, pixels.
        bag_size: Anchors in a bag, K; of fewer anchors, all.

    Returns:
        ``(G, K)`` in [0, 1], the best anchor first.
    """
    bag = most_overlapping(anchors, objects, bag_size)  # (G, K)
    ious = aligned_iou(anchors[bag], objects[:, None])
    return ious.sort(dim=1, descending=True).values


def map_sizes(
    height: int, width: int, strides: Sequence[int], divisor: int = 32
) -> list[tuple[int, int]]:
    """Rows and columns of each level's map for an image of this size.

    Args:
        height: Of the image, pixels.
        width: Of the image, pixels.
        strides: Of the levels.
        divisor: What sides are padded to a multiple of.
    """
    padded = [-(-side // divisor) * divisor for side in (height, width)]
    return [(-(-padded[0] // s), -(-padded[1] // s)) for s in strides]


def expected_overlaps(
    sides: Tensor, strides: Sequence[int], scales: Tensor, ratios: Tensor
) -> Tensor:
    """IoU of the best anchor that an object of a size may expect, wherever it is.

    The nearest cell's corner lies up to half a stride away in each direction; a
    quarter, its mean, is taken. So nothing needs to be laid out over an image.

    Args:
        sides: ``(G, 2)`` width and height of the objects, pixels.
        strides: Of the L levels.
        scales: ``(S,)`` sides of anchors in strides.
        ratios: ``(R,)`` height over width.

    Returns:
        ``(G,)`` in [0, 1].
    """
    root = ratios.sqrt()
    shape = (
        torch.stack([1 / root, root], dim=-1)[:, None] * scales[:, None]
    )  # (R, S, 2)
    best = sides.new_zeros(len(sides))
    for stride in strides:
        anchors = (shape * stride).reshape(-1, 2)  # (RS, 2)
        reach = (sides[:, None] + anchors) / 2 - stride / 4
        shared = torch.minimum(reach, torch.minimum(sides[:, None], anchors))
        shared = shared.clamp(min=0).prod(dim=-1)  # (G, RS)
        union = sides.prod(dim=-1)[:, None] + anchors.prod(dim=-1) - shared
        best = torch.maximum(best, (shared / union).amax(dim=1))
    return best
