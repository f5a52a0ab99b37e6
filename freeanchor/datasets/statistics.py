"""Numbers that describe the boxes of a data set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SLENDER = 3.0  # times as long as wide
OVERLAPS = (0.1, 0.3, 0.5)  # IoU


@dataclass(frozen=True)
class BoxStatistics:
    """The objects of a split; crowds are left out.

    Attributes:
        classes: Names.
        labels: ``(N,)`` int64, places in ``classes``.
        sides: ``(N, 2)`` width and height in pixels.
        per_image: ``(I,)`` int64, objects in each image.
        image_sizes: ``(I, 2)`` width and height in pixels.
        overlaps: ``(N,)`` IoU with the object of the same image that overlaps most.
        num_crowds: Regions that are neither object nor background.
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    sides: np.ndarray
    per_image: np.ndarray
    image_sizes: np.ndarray
    overlaps: np.ndarray
    num_crowds: int

    @property
    def sizes(self) -> np.ndarray:
        """``(N,)`` roots of the areas, in pixels."""
        return np.sqrt(self.sides.prod(axis=1))

    @property
    def aspects(self) -> np.ndarray:
        """``(N,)`` height over width."""
        return self.sides[:, 1] / self.sides[:, 0]

    @property
    def slenderness(self) -> np.ndarray:
        """``(N,)`` longer over shorter side, 1 or more."""
        return self.sides.max(axis=1) / self.sides.min(axis=1)

    def summary(self) -> dict[str, Any]:
        """The same as plain numbers, for JSON."""
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return dict(
            images=len(self.per_image),
            images_without_objects=int((self.per_image == 0).sum()),
            objects=len(self.labels),
            crowds=self.num_crowds,
            classes=dict(zip(self.classes, counts.tolist())),
            objects_per_image=_quantiles(self.per_image),
            image_width=_quantiles(self.image_sizes[:, 0]),
            image_height=_quantiles(self.image_sizes[:, 1]),
            size=_quantiles(self.sizes),
            height_over_width=_quantiles(self.aspects),
            share_slender=_share(self.slenderness > SLENDER),
            share_small=_share(self.sizes < 32),
            share_large=_share(self.sizes >= 96),
            share_overlapping={str(x): _share(self.overlaps > x) for x in OVERLAPS},
        )


def statistics_of(content: Mapping[str, Any]) -> BoxStatistics:
    """Measure the lists of a file in COCO's format.

    Boxes without width or height are left out.
    """
    label_of = {x['id']: i for i, x in enumerate(content['categories'])}
    place = {x['id']: i for i, x in enumerate(content['images'])}
    taken = [
        x
        for x in content['annotations']
        if x['image_id'] in place
        and x['category_id'] in label_of
        and not (x.get('iscrowd') or x.get('ignore'))
        and min(x['bbox'][2:]) > 0
    ]
    boxes = np.array([x['bbox'] for x in taken], dtype=np.float64).reshape(-1, 4)
    image = np.array([place[x['image_id']] for x in taken], dtype=np.int64)
    return BoxStatistics(
        classes=tuple(x['name'] for x in content['categories']),
        labels=np.array([label_of[x['category_id']] for x in taken], dtype=np.int64),
        sides=boxes[:, 2:],
        per_image=np.bincount(image, minlength=len(place)),
        image_sizes=np.array([(x['width'], x['height']) for x in content['images']]),
        overlaps=_largest_overlaps(boxes, image),
        num_crowds=sum(bool(x.get('iscrowd')) for x in content['annotations']),
    )


def _largest_overlaps(boxes: np.ndarray, image: np.ndarray) -> np.ndarray:
    """``(N,)`` largest IoU of each box with another one of its image."""
    largest = np.zeros(len(boxes))
    order = np.argsort(image, kind='stable')
    edges = np.flatnonzero(np.diff(image[order])) + 1
    for own in np.split(order, edges):
        if len(own) > 1:
            ious = _pairwise_iou(boxes[own])
            np.fill_diagonal(ious, 0)
            largest[own] = ious.max(axis=1)
    return largest


def _pairwise_iou(boxes: np.ndarray) -> np.ndarray:
    """IoU of ``(N, 4)`` boxes (x, y, width, height) with each other, ``(N, N)``."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    sides = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    shared = sides.clip(min=0).prod(axis=2)
    areas = boxes[:, 2:].prod(axis=1)
    return shared / (areas[:, None] + areas - shared)


def _quantiles(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    names = ('min', '10%', 'median', '90%', 'max')
    found = np.quantile(values, (0, 0.1, 0.5, 0.9, 1)).tolist()
    return dict(zip(names, (round(x, 3) for x in found)))


def _share(flags: np.ndarray) -> float:
    return round(float(flags.mean()), 4) if len(flags) else 0.0
