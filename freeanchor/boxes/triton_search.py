"""The most overlapping boxes on a GPU, without a tensor of all overlaps."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .fusing import device_of
from .overlaps import aligned_iou
from .runs import RUN

_RUNS, _OBJECTS = 32, 16  # of a program


def most_overlapping(boxes: Tensor, objects: Tensor, number: int) -> Tensor:
    """See :func:`freeanchor.boxes.most_overlapping`; of equal boxes, any.

    The best ``number`` boxes are in the ``number`` runs with the best boxes.
    Nothing waits for the device.
    """
    number = min(number, len(boxes))
    maxima = run_maxima(boxes, objects)  # (G, R)
    runs = maxima.topk(min(number, maxima.shape[1]), dim=1, sorted=False).indices
    members = torch.arange(RUN, device=boxes.device)
    index = (runs[..., None] * RUN + members).flatten(1)  # (G, n)
    real = index < len(boxes)
    index = index.clamp(max=len(boxes) - 1)
    iou = aligned_iou(boxes[index], objects[:, None]).where(real, -1)
    return index.gather(1, iou.topk(number, dim=1, sorted=False).indices)


def run_maxima(boxes: Tensor, objects: Tensor) -> Tensor:
    """``(G, R)`` the highest IoU of each object with a box of each run.

    Args:
        boxes: ``(A, 4)`` float32 xyxy, pixels.
        objects: ``(G, 4)`` float32 xyxy, pixels.
    """
    num_runs = triton.cdiv(len(boxes), RUN)
    maxima = boxes.new_empty(len(objects), num_runs)
    grid = triton.cdiv(num_runs, _RUNS), triton.cdiv(len(objects), _OBJECTS)
    if len(objects) == 0:
        return maxima
    with device_of(boxes):
        _run_maxima[grid](
            maxima,
            boxes.contiguous(),
            objects.contiguous(),
            len(boxes),
            len(objects),
            num_runs,
            _RUNS,
            RUN,
            _OBJECTS,
        )
    return maxima


@triton.jit
def _run_maxima(
    maxima_ptr,
    boxes_ptr,
    objects_ptr,
    num_boxes,
    num_objects,
    num_runs,
    RUNS: tl.constexpr,  # noqa: N803
    RUN: tl.constexpr,  # noqa: N803
    OBJECTS: tl.constexpr,  # noqa: N803
):
    run = tl.program_id(0) * RUNS + tl.arange(0, RUNS)
    box = run[:, None] * RUN + tl.arange(0, RUN)[None, :]  # (RUNS, RUN)
    inside = box < num_boxes
    left = tl.load(boxes_ptr + 4 * box, inside, 0)
    top = tl.load(boxes_ptr + 4 * box + 1, inside, 0)
    right = tl.load(boxes_ptr + 4 * box + 2, inside, 0)
    bottom = tl.load(boxes_ptr + 4 * box + 3, inside, 0)
    area = (right - left) * (bottom - top)
    first = tl.program_id(1) * OBJECTS
    for g in range(first, tl.minimum(first + OBJECTS, num_objects)):
        own_left = tl.load(objects_ptr + 4 * g)
        own_top = tl.load(objects_ptr + 4 * g + 1)
        own_right = tl.load(objects_ptr + 4 * g + 2)
        own_bottom = tl.load(objects_ptr + 4 * g + 3)
        width = tl.minimum(right, own_right) - tl.maximum(left, own_left)
        height = tl.minimum(bottom, own_bottom) - tl.maximum(top, own_top)
        shared = tl.maximum(width, 0) * tl.maximum(height, 0)
        own_area = (own_right - own_left) * (own_bottom - own_top)
        union = area + own_area - shared
        iou = tl.where(inside & (union > 0), shared / union, 0)
        most = tl.max(iou, axis=1)
        tl.store(maxima_ptr + g * num_runs + run, most, run < num_runs)
