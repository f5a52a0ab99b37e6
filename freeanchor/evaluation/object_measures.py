"""What objects are told apart by, beside their area."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from freeanchor.boxes import pairwise_iou

from .coco_backends import Annotations

Values = tuple[np.ndarray, np.ndarray]
"""A number for each object and one for each detection, float64."""


def aspect_ratios(truth: Annotations, found: Annotations) -> Values:
    """Longer side over shorter side; the largest number for a box without area."""
    return _ratios(truth.boxes()), _ratios(found.boxes())


def crowding(truth: Annotations, found: Annotations) -> Values:
    """Highest IoU of each object with another object of its image, of any class.

    A detection has the crowding of the object that it overlaps most, and 0 if it
    overlaps none. Regions marked as crowds crowd nobody.
    """
    boxes, found_boxes = _corners(truth), _corners(found)
    crowds = torch.from_numpy(truth.column('iscrowd', bool))
    of_truth = torch.zeros(len(boxes), dtype=torch.float64)
    of_found = torch.zeros(len(found_boxes), dtype=torch.float64)
    nearby = _rows_by_image(found)
    for image, rows in _rows_by_image(truth).items():
        here, no_object = boxes[rows], crowds[rows]
        most = _overlaps(here, here, no_object).fill_diagonal_(0).amax(dim=1)
        of_truth[rows] = most
        if image in nearby:
            overlaps = _overlaps(found_boxes[nearby[image]], here, no_object)
            highest, nearest = overlaps.max(dim=1)
            of_found[nearby[image]] = most[nearest] * (highest > 0)
    return of_truth.numpy(), of_found.numpy()


MEASURES: dict[str, Callable[[Annotations, Annotations], Values]] = dict(
    aspect_ratio=aspect_ratios, crowding=crowding
)


def _ratios(boxes: np.ndarray) -> np.ndarray:
    shorter, longer = np.sort(boxes[:, 2:], axis=1).T
    flat = np.full(len(boxes), np.finfo(float).max)
    return np.divide(longer, shorter, out=flat, where=shorter > 0)


def _overlaps(boxes: Tensor, others: Tensor, left_out: Tensor) -> Tensor:
    """IoU ``(n, m)``; 0 with those left out, and of boxes without an area."""
    return pairwise_iou(boxes, others).nan_to_num().masked_fill(left_out, 0)


def _corners(annotations: Annotations) -> Tensor:
    """``(n, 4)`` xyxy, float64."""
    boxes = torch.from_numpy(annotations.boxes())
    return torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)


def _rows_by_image(annotations: Annotations) -> dict[int, Tensor]:
    rows = defaultdict(list)
    for row, image in enumerate(annotations.column('image_id', int).tolist()):
        rows[image].append(row)
    return {image: torch.tensor(x) for image, x in rows.items()}
