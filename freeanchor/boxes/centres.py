"""Where anchors are centred."""

from torch import Tensor


def centres(anchors: Tensor) -> Tensor:
    """``(..., 4)`` xyxy to ``(..., 2)`` xy."""
    return (anchors[..., :2] + anchors[..., 2:]) / 2


def holds_centre(boxes: Tensor, anchors: Tensor, margin: float = 0.0) -> Tensor:
    """Which anchors are centred in which boxes.

    Args:
        boxes: ``(G, 4)`` xyxy, pixels.
        anchors: ``(A, 4)`` xyxy, pixels.
        margin: A centre lies more than so many pixels inside.

    Returns:
        ``(G, A)`` bool.
    """
    x, y = centres(anchors).unbind(-1)
    left, top, right, bottom = boxes[:, :, None].unbind(1)  # (G, 1) each
    in_width = (x - left > margin) & (right - x > margin)
    return in_width & (y - top > margin) & (bottom - y > margin)
