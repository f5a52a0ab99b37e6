"""How well predicted boxes fit objects, and what that takes off the background.

Streamed over the anchors: nothing of shape ``(G, A)`` is ever written.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from freeanchor.boxes import device_of
from freeanchor.boxes.coder import MAX_LOG_RATIO
from freeanchor.losses.reading import Levels
from freeanchor.structures import DensePredictions, Objects

from .triton_maths import focal_negative, focal_negative_unless_matched

_BLOCK = 256


class _Level(NamedTuple):
    """A level as the kernels take it, up to their own arguments."""

    deltas: Tensor  # (B, P_l, K, 4)
    anchors: Tensor  # (A_l, 4)
    counted: Tensor  # (B, A_l) uint8; anything where all count


class TritonMatches:
    """What the background's cost is corrected by where boxes fit objects.

    The sum, over (image, anchor, class) with match probability m > 0, of
    ``q^gamma -log(1 - q)`` of ``q = p (1 - m)`` less the same of ``p``.
    Nothing waits for the device. float32 inside.

    Args:
        predictions: Of the batch.
        objects: Of the batch.
        iou_thr: Overlap up to which a predicted box counts as background.
        gamma: Focusing power.
        counted: ``(B, A)`` bool, anchors that take part; None for all.
    """

    def __init__(
        self,
        predictions: DensePredictions,
        objects: Objects,
        iou_thr: float,
        gamma: float,
        counted: Tensor | None = None,
    ) -> None:
        self.iou_thr, self.gamma = float(iou_thr), float(gamma)
        self.masked = counted is not None
        self.coder = predictions.coder
        self.num_images = predictions.num_images
        sizes = [len(x) for x in predictions.anchors]
        parts = list(predictions.anchors)
        if counted is not None:
            parts = [x.contiguous() for x in counted.view(torch.uint8).split(sizes, 1)]
        deltas = (x.detach() for x in predictions.deltas)
        self.levels = list(map(_Level, deltas, predictions.anchors, parts))

        # Objects of a class side by side, so that their best can be kept in
        # registers while the others pass.
        order = (objects.image * predictions.num_classes + objects.labels).argsort()
        self.boxes = objects.boxes[order].contiguous()
        self.labels = objects.labels[order]
        images = torch.arange(self.num_images + 1, device=order.device)
        self.first = torch.searchsorted(objects.image, images)  # (B + 1,)
        with device_of(self.boxes):
            self.best = self._best()  # (G,)

    def read(self, levels: Levels) -> Tensor:
        """Scalar, float32."""
        counts = [self._grid(x)[0] for x in self.levels]
        sums = torch.empty(self.num_images * sum(counts), device=self.boxes.device)
        parts = sums.split([self.num_images * n for n in counts])
        for logits, level, part in zip(levels, self.levels, parts):
            _correct[self._grid(level)](
                logits, logits, part, part, *self._arguments(logits, level), False
            )
        return sums.sum()

    def add_gradient(self, levels: Levels, buffers: Levels, grad: Tensor) -> None:
        """Add the derivative times ``grad``; one thread alone writes an entry."""
        for logits, buffer, level in zip(levels, buffers, self.levels):
            _correct[self._grid(level)](
                logits, buffer, grad, grad, *self._arguments(logits, level), True
            )

    def _best(self) -> Tensor:
        best = torch.zeros(len(self.boxes), device=self.boxes.device)
        for level in self.levels:
            _best_overlap[self._grid(level)](best, *self._geometry(level))
        return best

    def _grid(self, level: _Level) -> tuple[int, int]:
        return triton.cdiv(len(level.anchors), _BLOCK), self.num_images

    def _geometry(self, level: _Level) -> tuple:
        return (
            level.deltas,
            level.anchors,
            self.boxes,
            self.first,
            len(level.anchors),
            level.deltas.shape[2],
            *level.deltas.stride(),
            *map(float, self.coder.means),
            *map(float, self.coder.stds),
            MAX_LOG_RATIO,
            self.iou_thr,
            _BLOCK,
        )

    def _arguments(self, logits: Tensor, level: _Level) -> tuple:
        return (
            level.counted,
            self.labels,
            self.best,
            *logits.stride(),
            *self._geometry(level),
            torch.finfo(torch.float32).eps,
            self.gamma,
            self.masked,
        )


@triton.jit
def _decoded(
    deltas_ptr,
    anchors_ptr,
    anchor,
    inside,
    per_position,
    stride_image,
    stride_position,
    stride_anchor,
    stride_value,
    mean_x,
    mean_y,
    mean_w,
    mean_h,
    std_x,
    std_y,
    std_w,
    std_h,
    max_log_ratio,
):
    """Left, top, right, bottom of this program's predicted boxes."""
    position, k = anchor // per_position, anchor % per_position
    place = deltas_ptr + tl.program_id(1).to(tl.int64) * stride_image
    place += position.to(tl.int64) * stride_position + k * stride_anchor
    dx = tl.load(place, inside, 0).to(tl.float32) * std_x + mean_x
    dy = tl.load(place + stride_value, inside, 0).to(tl.float32) * std_y + mean_y
    dw = tl.load(place + 2 * stride_value, inside, 0).to(tl.float32) * std_w + mean_w
    dh = tl.load(place + 3 * stride_value, inside, 0).to(tl.float32) * std_h + mean_h
    corner = anchors_ptr + anchor * 4
    left, top = tl.load(corner, inside, 0), tl.load(corner + 1, inside, 0)
    right, bottom = tl.load(corner + 2, inside, 0), tl.load(corner + 3, inside, 0)
    width, height = right - left, bottom - top
    x, y = (left + right) / 2 + width * dx, (top + bottom) / 2 + height * dy
    dw = tl.minimum(tl.maximum(dw, -max_log_ratio), max_log_ratio)
    dh = tl.minimum(tl.maximum(dh, -max_log_ratio), max_log_ratio)
    half_w, half_h = width * tl.exp(dw) / 2, height * tl.exp(dh) / 2
    return x - half_w, y - half_h, x + half_w, y + half_h


@triton.jit
def _iou(boxes_ptr, g, left, top, right, bottom, inside):
    """Overlap of object ``g`` with every box of the block; 0 outside."""
    own_left, own_top = tl.load(boxes_ptr + 4 * g), tl.load(boxes_ptr + 4 * g + 1)
    own_right, own_bottom = (
        tl.load(boxes_ptr + 4 * g + 2),
        tl.load(boxes_ptr + 4 * g + 3),
    )
    width = tl.minimum(right, own_right) - tl.maximum(left, own_left)
    height = tl.minimum(bottom, own_bottom) - tl.maximum(top, own_top)
    shared = tl.maximum(width, 0) * tl.maximum(height, 0)
    area = (right - left) * (bottom - top)
    own_area = (own_right - own_left) * (own_bottom - own_top)
    union = area + own_area - shared
    return tl.where(inside & (union > 0), shared / union, 0)


@triton.jit
def _best_overlap(
    best_ptr,
    deltas_ptr,
    anchors_ptr,
    boxes_ptr,
    first_ptr,
    num_anchors,
    per_position,
    stride_image,
    stride_position,
    stride_anchor,
    stride_value,
    mean_x,
    mean_y,
    mean_w,
    mean_h,
    std_x,
    std_y,
    std_w,
    std_h,
    max_log_ratio,
    iou_thr,
    BLOCK: tl.constexpr,  # noqa: N803
):
    """The highest IoU of each object with any box, where above the threshold."""
    anchor = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = anchor < num_anchors
    left, top, right, bottom = _decoded(
        deltas_ptr,
        anchors_ptr,
        anchor,
        inside,
        per_position,
        stride_image,
        stride_position,
        stride_anchor,
        stride_value,
        mean_x,
        mean_y,
        mean_w,
        mean_h,
        std_x,
        std_y,
        std_w,
        std_h,
        max_log_ratio,
    )
    image = tl.program_id(1)
    for g in range(tl.load(first_ptr + image), tl.load(first_ptr + image + 1)):
        most = tl.max(_iou(boxes_ptr, g, left, top, right, bottom, inside), axis=0)
        if most > iou_thr:
            tl.atomic_max(best_ptr + g, most)


@triton.jit
def _correct(
    logits_ptr,
    buffer_ptr,
    out_ptr,
    grad_ptr,
    counted_ptr,
    labels_ptr,
    best_ptr,
    logit_stride_image,
    logit_stride_position,
    logit_stride_anchor,
    logit_stride_class,
    deltas_ptr,
    anchors_ptr,
    boxes_ptr,
    first_ptr,
    num_anchors,
    per_position,
    stride_image,
    stride_position,
    stride_anchor,
    stride_value,
    mean_x,
    mean_y,
    mean_w,
    mean_h,
    std_x,
    std_y,
    std_w,
    std_h,
    max_log_ratio,
    iou_thr,
    BLOCK: tl.constexpr,  # noqa: N803
    eps,
    GAMMA: tl.constexpr,  # noqa: N803
    MASKED: tl.constexpr,  # noqa: N803
    BACKWARD: tl.constexpr,  # noqa: N803
):
    """Sum of the correction, or its derivative added to the buffer."""
    image = tl.program_id(1)
    anchor = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = anchor < num_anchors
    left, top, right, bottom = _decoded(
        deltas_ptr,
        anchors_ptr,
        anchor,
        inside,
        per_position,
        stride_image,
        stride_position,
        stride_anchor,
        stride_value,
        mean_x,
        mean_y,
        mean_w,
        mean_h,
        std_x,
        std_y,
        std_w,
        std_h,
        max_log_ratio,
    )
    if MASKED:
        row = image.to(tl.int64) * num_anchors + anchor
        inside = inside & (tl.load(counted_ptr + row, inside, 0) > 0)
    place = image.to(tl.int64) * logit_stride_image
    place += (anchor // per_position).to(tl.int64) * logit_stride_position
    place += (anchor % per_position) * logit_stride_anchor

    total = tl.zeros([BLOCK], tl.float32)
    match = tl.zeros([BLOCK], tl.float32)  # the best of a class so far
    end = tl.load(first_ptr + image + 1)
    for g in range(tl.load(first_ptr + image), end):
        iou = _iou(boxes_ptr, g, left, top, right, bottom, inside)
        best = tl.maximum(tl.load(best_ptr + g), iou_thr + eps)
        prob = (iou - iou_thr) / (best - iou_thr)
        match = tl.maximum(match, tl.minimum(tl.maximum(prob, 0), 1))
        label = tl.load(labels_ptr + g)
        following = tl.load(labels_ptr + g + 1, g + 1 < end, -1)
        if label != following:
            if tl.max(match, axis=0) > 0:
                here = place + label * logit_stride_class
                x = tl.load(logits_ptr + here, match > 0, 0).to(tl.float32)
                cost, slope = focal_negative_unless_matched(x, match, GAMMA)
                full_cost, full_slope = focal_negative(x, GAMMA)
                if BACKWARD:
                    old = tl.load(buffer_ptr + here, match > 0, 0).to(tl.float32)
                    new = old + (slope - full_slope) * tl.load(grad_ptr)
                    new = new.to(buffer_ptr.dtype.element_ty)
                    tl.store(buffer_ptr + here, new, match > 0)
                else:
                    total += tl.where(match > 0, cost - full_cost, 0)
            match = tl.zeros([BLOCK], tl.float32)
    if not BACKWARD:
        block = image * tl.num_programs(0) + tl.program_id(0)
        tl.store(out_ptr + block, tl.sum(total, axis=0))
