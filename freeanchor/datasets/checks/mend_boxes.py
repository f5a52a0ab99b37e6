"""Mend annotations: the box, its area and flags; drop those of no use."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from ..coco_entries import annotation_faults
from ..coco_file import CocoFile
from .boxes import columns, habit_of, repeated, useless
from .changes import note
from .entries import shift_of

_FAR = 1e300  # pixels; numbers from files can be so large that twice is infinite
_OUTLINES = ('segmentation', 'keypoints')
_DROPPED = ('unknown_image', 'unknown_category', 'malformed_box')


def mend_annotations(
    data: dict[str, Any],
    scales: Mapping[Hashable, tuple[float, float]],
    changes: list[dict[str, Any]],
) -> None:
    """Replaces ``data['annotations']``.

    Args:
        data: Lists whose images, categories and ids are sound.
        scales: How much wider and higher the image is than what was annotated, by
            id of annotation; 1 where nothing is said.
        changes: Gets what was dropped or changed.
    """
    categories = {x['id']: x['name'] for x in data['categories']}
    ids = {x['id'] for x in data['images']}
    annotations = _unshifted(data['annotations'], categories, changes)
    sound = []
    for annotation in annotations:
        faults = {x.code: x for x in annotation_faults(annotation, ids, categories)}
        fatal = [faults[code].text for code in _DROPPED if code in faults]
        if fatal:
            _drop(changes, annotation, fatal[0])
            continue
        if faults:
            why = '; '.join(x.text for x in faults.values())
            note(changes, 'changed', annotation, why)
        wrong = {'malformed_area': ('area',), 'malformed_flag': ('iscrowd', 'ignore')}
        without = [key for code in faults for key in wrong[code]]
        sound.append({k: v for k, v in annotation.items() if k not in without})
    file = CocoFile(data['images'], sound, categories)
    data['annotations'] = _mend_boxes(file, scales, changes) if sound else []


def _drop(changes: list, annotation: dict, why: str) -> None:
    note(changes, 'dropped from annotations', annotation, why)


def _unshifted(annotations: list[dict], categories: dict, changes: list) -> list[dict]:
    step = shift_of(annotations, categories)
    if not step:
        return annotations
    why = 'then all category ids are known'
    note(changes, 'category ids', f'{step:+d} each', why)
    return [
        {**x, 'category_id': x['category_id'] + step}
        if isinstance(x.get('category_id'), int)
        else x
        for x in annotations
    ]


def _mend_boxes(
    file: CocoFile, scales: Mapping[Hashable, tuple[float, float]], changes: list
) -> list[dict]:
    given, sizes = columns(file)
    factors = np.array([scales.get(x['id'], (1.0, 1.0)) for x in file.annotations])
    boxes, habit = _in_pixels(given, sizes, factors)
    if habit is not None:
        note(changes, 'all boxes', habit, 'now xywh in pixels')
    partly = useless(boxes, sizes)['partly_outside']
    boxes = np.where(partly[:, None], _cut(boxes, sizes), boxes)
    annotations = [
        {**x, 'bbox': box.tolist()} if (box != old).any() else x
        for x, box, old in zip(file.annotations, boxes, given)
    ]
    masks = {**useless(boxes, sizes), 'duplicate_box': repeated(annotations, boxes)}
    rescaled = (factors != 1).any(axis=1) | (habit == 'normalised')
    kept = []
    for row, annotation in enumerate(annotations):
        old = file.annotations[row]
        codes = [code for code, mask in masks.items() if mask[row]]
        if codes:
            _drop(changes, old, codes[0])
            continue
        if partly[row]:
            note(changes, 'box cut', old, 'it reached over the edge')
        kept.append(_with_own_area(annotation, old, changes))
        if rescaled[row]:
            kept[-1] = _without_outlines(kept[-1], old, changes)
    return kept


def _in_pixels(
    boxes: np.ndarray, sizes: np.ndarray, factors: np.ndarray
) -> tuple[np.ndarray, str | None]:
    """Boxes xywh in pixels of the files, and the habit that was mended.

    Args:
        boxes: As they are given, ``(M, 4)``.
        sizes: Width and height of the files, ``(M, 2)``.
        factors: How much wider and higher these are than annotated, ``(M, 2)``.
    """
    annotated = sizes / factors
    habit = habit_of(boxes, annotated)
    with np.errstate(over='ignore'):
        if habit == 'normalised':
            boxes = boxes * np.tile(annotated, 2)
        elif habit == 'corners':
            boxes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        else:
            habit = None
        return (boxes * np.tile(factors, 2)).clip(-_FAR, _FAR), habit


def _cut(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The part of each box within its image."""
    low = boxes[:, :2].clip(0, sizes)
    high = (boxes[:, :2] + boxes[:, 2:]).clip(0, sizes)
    return np.concatenate([low, high - low], axis=1)


def _with_own_area(annotation: dict, old: dict, changes: list) -> dict:
    """With the area of the box where that was changed, and without one of 0."""
    area = annotation.get('area')
    if area is None:
        return annotation
    if annotation['bbox'] != old['bbox']:
        _, _, width, height = annotation['bbox']
        return {**annotation, 'area': width * height}
    if area > 0:
        return annotation
    note(changes, 'area left out', old, 'not > 0')
    return {k: v for k, v in annotation.items() if k != 'area'}


def _without_outlines(annotation: dict, old: dict, changes: list) -> dict:
    """Without what nobody reads here, and what is in another unit than the box."""
    found = [key for key in _OUTLINES if annotation.get(key)]
    if found:
        why = 'it is not in pixels of the file, as the box is now'
        note(changes, f'{" and ".join(found)} left out', old, why)
    return {k: v for k, v in annotation.items() if k not in found}
