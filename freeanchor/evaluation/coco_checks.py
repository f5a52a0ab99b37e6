"""Whether a metric's annotation file is that of the data set under evaluation."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pycocotools.coco import COCO


def check_classes(meta: Mapping[str, Any], truth: COCO, ann_file: str) -> None:
    """The data set and the metric must mean the same by a category id.

    Args:
        meta: ``classes`` and ``cat_ids`` of the data set.
        truth: Ground truth of the metric.
        ann_file: Where it is from, for the error.

    Raises:
        ValueError: They do not, or one of the two is missing.
    """
    for key in ('classes', 'cat_ids'):
        if key not in meta:
            raise ValueError(
                f"the metric needs '{key}' in the metainfo of the data set; "
                'CocoDataset gives it once its file is read (lazy_init=False)'
            )
    names = {x['id']: x['name'] for x in truth.dataset['categories']}
    for name, cat_id in zip(meta['classes'], meta['cat_ids']):
        if names.get(cat_id) != name:
            raise ValueError(
                f'the data set calls category {cat_id} {name!r}, but in {ann_file}, '
                f'which the metric compares with, {_meaning(cat_id, name, names)}. '
                'Give the metric the ann_file of the data set, or both files the same '
                'categories'
            )


def check_images(image_ids: Iterable[int | str], truth: COCO, ann_file: str) -> None:
    """The metric must know every image that was evaluated.

    Raises:
        ValueError: ``ann_file`` does not list one.
    """
    for image_id in image_ids:
        if image_id not in truth.imgs:
            raise ValueError(
                f'image {image_id!r} was evaluated, but {ann_file} does not list it: '
                'give the metric the ann_file of the data set'
            )


def _meaning(cat_id: int, name: str, names: dict[int, str]) -> str:
    """What the metric's file says of a category that does not fit."""
    if cat_id in names:
        return f'it is {names[cat_id]!r}'
    ids = {known: i for i, known in names.items()}
    if name in ids:
        return f'{name!r} has the id {ids[name]}'
    close = difflib.get_close_matches(name, list(ids), n=1)
    return 'there is none' + (f', the nearest is {close[0]!r}' if close else '')
