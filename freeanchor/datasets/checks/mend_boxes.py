"""Mend annotations: the box, its area and flags; drop those of no use."""

from typing import Any

import numpy as np

from ..coco_entries import annotation_faults
from ..coco_file import CocoFile
from .boxes import columns, habit_of, repeated, useless
from .entries import shift_of

_DROPPED = ('unknown_image', 'unknown_category', 'malformed_box')


def mend_annotations(data: dict[str, Any], changes: list[dict[str, Any]]) -> None:
    """Replaces ``data['annotations']``.

    Args:
        data: Lists whose images, categories and ids are sound.
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
            change = dict(change='changed', entry=annotation)
            changes.append(
                {**change, 'why': '; '.join(x.text for x in faults.values())}
            )
        wrong = {'malformed_area': ('area',), 'malformed_flag': ('iscrowd', 'ignore')}
        without = [key for code in faults for key in wrong[code]]
        sound.append({k: v for k, v in annotation.items() if k not in without})
    file = CocoFile(data['images'], sound, categories)
    data['annotations'] = _mend_boxes(file, changes) if sound else []


def _drop(changes: list, annotation: dict, why: str) -> None:
    changes.append(dict(change='dropped from annotations', entry=annotation, why=why))


def _unshifted(annotations: list[dict], categories: dict, changes: list) -> list[dict]:
    step = shift_of(annotations, categories)
    if not step:
        return annotations
    why = 'then all category ids are known'
    changes.append(dict(change='category ids', entry=f'{step:+d} each', why=why))
    return [
        {**x, 'category_id': x['category_id'] + step}
        if isinstance(x.get('category_id'), int)
        else x
        for x in annotations
    ]


def _mend_boxes(file: CocoFile, changes: list) -> list[dict]:
    boxes, sizes = columns(file)
    given = boxes.copy()
    habit = habit_of(boxes, sizes)
    if habit == 'normalised':
        boxes = boxes * np.tile(sizes, 2)
    elif habit == 'corners':
        boxes[:, 2:] -= boxes[:, :2]
    if habit in ('normalised', 'corners'):
        changes.append(dict(change='all boxes', entry=habit, why='now xywh in pixels'))
    partly = useless(boxes, sizes)['partly_outside']
    low = boxes[:, :2].clip(0, sizes)
    with np.errstate(over='ignore'):
        high = (boxes[:, :2] + boxes[:, 2:]).clip(0, sizes)
    boxes = np.where(partly[:, None], np.concatenate([low, high - low], 1), boxes)
    masks = {
        **useless(boxes, sizes),
        'duplicate_box': repeated(file.annotations, given),
    }
    kept = []
    for row, annotation in enumerate(file.annotations):
        codes = [code for code, mask in masks.items() if mask[row]]
        if codes:
            _drop(changes, annotation, codes[0])
            continue
        if (boxes[row] != given[row]).any():
            if partly[row]:
                why = 'it reached over the edge'
                changes.append(dict(change='box cut', entry=annotation, why=why))
            annotation = {**annotation, 'bbox': boxes[row].tolist()}
        area = annotation.get('area')
        if area is not None and area <= 0:
            changes.append(
                dict(change='area left out', entry=annotation, why='not > 0')
            )
            annotation = {k: v for k, v in annotation.items() if k != 'area'}
        kept.append(annotation)
    return kept
