"""maskrcnn-benchmark's boxes, from first to last pixel, in float64 and one by one."""

import math

Box = tuple[float, float, float, float]  # first x, first y, last x, last y


def to_legacy(box: Box) -> Box:
    """From edges to pixels."""
    return box[0], box[1], box[2] - 1, box[3] - 1


def from_legacy(box: Box) -> Box:
    """From pixels to edges."""
    return box[0], box[1], box[2] + 1, box[3] + 1


def cell_anchors(stride: int, sizes: list[float], ratios: list[float]) -> list[Box]:
    """Of the cell at the origin; Python rounds halves to even, as NumPy does."""
    anchors = []
    for ratio in ratios:
        width = round(math.sqrt(stride * stride / ratio))
        height = round(width * ratio)
        for size in sizes:
            across, down = width * size / stride, height * size / stride
            centre = (stride - 1) / 2
            anchors.append(
                (
                    centre - (across - 1) / 2,
                    centre - (down - 1) / 2,
                    centre + (across - 1) / 2,
                    centre + (down - 1) / 2,
                )
            )
    return anchors


def _centre_and_sides(box: Box) -> tuple[float, float, float, float]:
    width, height = box[2] - box[0] + 1, box[3] - box[1] + 1
    return box[0] + width / 2, box[1] + height / 2, width, height


def encode(anchor: Box, box: Box, weights: Box) -> Box:
    anchor_x, anchor_y, anchor_w, anchor_h = _centre_and_sides(anchor)
    x, y, w, h = _centre_and_sides(box)
    return (
        weights[0] * (x - anchor_x) / anchor_w,
        weights[1] * (y - anchor_y) / anchor_h,
        weights[2] * math.log(w / anchor_w),
        weights[3] * math.log(h / anchor_h),
    )


def decode(anchor: Box, deltas: Box, weights: Box) -> Box:
    anchor_x, anchor_y, anchor_w, anchor_h = _centre_and_sides(anchor)
    dx, dy, dw, dh = (d / w for d, w in zip(deltas, weights))
    x, y = dx * anchor_w + anchor_x, dy * anchor_h + anchor_y
    w, h = math.exp(dw) * anchor_w, math.exp(dh) * anchor_h
    return x - w / 2, y - h / 2, x + w / 2 - 1, y + h / 2 - 1


def iou(box: Box, other: Box) -> float:
    width = min(box[2], other[2]) - max(box[0], other[0]) + 1
    height = min(box[3], other[3]) - max(box[1], other[1]) + 1
    shared = max(width, 0) * max(height, 0)
    _, _, w, h = _centre_and_sides(box)
    _, _, other_w, other_h = _centre_and_sides(other)
    return shared / (w * h + other_w * other_h - shared)


def resize(box: Box, scale: tuple[float, float]) -> Box:
    x, y = scale
    return box[0] * x, box[1] * y, box[2] * x, box[3] * y
