"""Detections from several views of the same images, suppressed once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from freeanchor.boxes.candidates import Candidates
from freeanchor.boxes.select_batch import suppress

from .detector import SingleStageDetector, settings_of

Detections = tuple[Tensor, Tensor, Tensor]
"""Boxes ``(N, 4)`` xyxy in pixels, scores ``(N,)`` and labels ``(N,)``."""


@dataclass(frozen=True)
class View:
    """One form of the images of a batch, ready for the network."""

    inputs: Tensor  # (B, 3, H, W), normalised and padded
    limits: Tensor  # (B, 2) width and height without padding, pixels
    scales: Tensor  # (B, 2) what the original width and height were multiplied by
    flips: Sequence[str | None]  # directions by which they were flipped


def detect_in_views(
    detector: SingleStageDetector, views: Sequence[View]
) -> list[Detections]:
    """Detections of each image, in pixels of the original, best first.

    Args:
        detector: What finds the candidates; its ``test_cfg`` says how many, and
            what stays of those of all views together.
        views: Of the same images, each.
    """
    parts = [_candidates(detector, view) for view in views]
    boxes, scores, labels, image = (
        torch.cat([getattr(x, name) for x in parts])
        for name in ('boxes', 'scores', 'labels', 'image')
    )
    names = ('nms_iou', 'max_per_img', 'voting_sigma')
    settings = settings_of(detector.test_cfg, *names)
    found = []
    for i in range(len(views[0].limits)):
        (own,) = (image == i).nonzero(as_tuple=True)
        alone = torch.zeros_like(own)
        candidates = Candidates(boxes[own], scores[own], labels[own], alone)
        found += suppress(candidates, 1, **settings)
    return found


def _candidates(detector: SingleStageDetector, view: View) -> Candidates:
    """A view's candidates as if found in the original images; copies, all of them."""
    found = detector.find_candidates(view.inputs, view.limits)
    (rows,) = (found.image < len(view.limits)).nonzero(as_tuple=True)
    boxes, image = found.boxes[rows], found.image[rows]
    for i, direction in enumerate(view.flips):
        if direction is not None:
            own = image == i
            boxes[own] = flipped_back(boxes[own], view.limits[i], direction)
    coder = detector.bbox_head.coder
    boxes = coder.to_original(boxes, view.scales[image])
    return Candidates(boxes, found.scores[rows], found.labels[rows], image)


def flipped_back(boxes: Tensor, size: Tensor, direction: str) -> Tensor:
    """Boxes of a flipped image in the image before.

    Args:
        boxes: ``(N, 4)`` xyxy, pixels.
        size: ``(2,)`` width and height of the image, pixels.
        direction: ``'horizontal'``, ``'vertical'`` or ``'diagonal'`` for both.
    """
    mirrored = (size.to(boxes.dtype).repeat(2) - boxes)[:, [2, 3, 0, 1]]
    x = boxes if direction == 'vertical' else mirrored
    y = boxes if direction == 'horizontal' else mirrored
    return torch.stack([x[:, 0], y[:, 1], x[:, 2], y[:, 3]], dim=-1)
