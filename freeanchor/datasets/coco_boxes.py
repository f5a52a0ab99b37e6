"""The boxes of an annotation file as columns, without the useless ones."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from .coco_file import CocoFile

OTHER_CLASS = 'of a class that is not in use'
# Of a box that shows less than this, in pixels, float32 leaves no width or height.
_LEAST_VISIBLE = 0.01
_REASONS = (
    OTHER_CLASS,
    'thinner than a pixel',
    'with an area of 0',
    'outside the image',
)


@dataclass(frozen=True)
class Boxes:
    """The boxes of N images in one row, those of an image side by side."""

    corners: np.ndarray  # (M, 4) float64 xyxy, pixels, as annotated
    labels: np.ndarray  # (M,) int32
    ignored: np.ndarray  # (M,) bool
    ids: np.ndarray | None  # (M,) int64, of the annotations; None if one is no int64
    ends: np.ndarray  # (N,) int64, where the next image's boxes begin
    annotated: np.ndarray  # (N,) bool, whether boxes of the classes were there
    dropped: dict[str, list[Hashable]]  # annotation ids by reason


def read_boxes(file: CocoFile, cat_ids: list[int]) -> Boxes:
    """The boxes of each image, in the file's order.

    Args:
        file: Images and annotations.
        cat_ids: Category id of each label. Boxes of other categories, those
            thinner than a pixel, with an area that is not above 0, or outside
            the image are left out.
    """
    annotations, num_images = file.annotations, len(file.images)
    row_of = {image['id']: row for row, image in enumerate(file.images)}
    label_of = {cat_id: label for label, cat_id in enumerate(cat_ids)}
    image = _column((row_of[x['image_id']] for x in annotations), np.int64)
    labels = _column((label_of.get(x['category_id'], -1) for x in annotations), 'i4')
    numbers = chain.from_iterable(x['bbox'] for x in annotations)
    boxes = _column(numbers, np.float64).reshape(-1, 4)
    with np.errstate(over='ignore'):  # infinitely far is merely outside
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    ignored = _column((x.get('iscrowd') or x.get('ignore') for x in annotations), bool)

    reasons = _reasons(file, image, labels, boxes, corners)
    dropped = {
        reason: [annotations[i]['id'] for i in np.flatnonzero(reasons == place)]
        for place, reason in enumerate(_REASONS)
        if (reasons == place).any()
    }
    ids = _integer_ids(annotations)
    kept = np.flatnonzero(reasons < 0)
    kept = kept[np.argsort(image[kept], kind='stable')]
    return Boxes(
        corners=corners[kept],
        labels=labels[kept],
        ignored=ignored[kept],
        ids=None if ids is None else ids[kept],
        ends=np.bincount(image[kept], minlength=num_images).cumsum(),
        annotated=np.bincount(image[labels >= 0], minlength=num_images) > 0,
        dropped=dropped,
    )


def _column(values: Iterable[Any], dtype: Any) -> np.ndarray:
    return np.fromiter(values, dtype)


def _integer_ids(annotations: list[dict[str, Any]]) -> np.ndarray | None:
    ids = [x['id'] for x in annotations]
    if not set(map(type, ids)) <= {int}:
        return None
    try:
        return np.array(ids, np.int64)
    except OverflowError:
        return None


def _reasons(
    file: CocoFile,
    image: np.ndarray,
    labels: np.ndarray,
    boxes: np.ndarray,
    corners: np.ndarray,
) -> np.ndarray:
    """Place in ``_REASONS`` of why a box is left out, -1 for those that stay."""
    area = _column((_area(x) for x in file.annotations), np.float64)
    sizes = np.array([(x['width'], x['height']) for x in file.images], np.float64)
    far = np.minimum(corners[:, 2:], sizes[image])
    visible = (far - corners[:, :2].clip(min=0)).min(axis=1)
    conditions = [
        labels < 0,
        (boxes[:, 2:] < 1).any(axis=1),
        area <= 0,
        visible < _LEAST_VISIBLE,
    ]
    return np.select(conditions, range(len(_REASONS)), default=-1)


def _area(annotation: dict[str, Any]) -> float:
    area = annotation.get('area')
    return 1.0 if area is None else area
