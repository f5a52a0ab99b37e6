"""Check lists, ids and fields of an annotation file, each entry for itself."""

from collections.abc import Iterator
from typing import Any

from ..coco_entries import (
    annotation_faults,
    check_ids,
    id_faults,
    image_faults,
    looks_sound,
)
from ..coco_file import LISTS, CocoFile
from ..errors import DataError
from .findings import Finding, Report
from .source import Source


def check_entries(data: dict[str, Any], source: Source, report: Report) -> CocoFile:
    """Note what is malformed.

    Returns:
        The sound entries; a list that is missing is empty.
    """
    lists = {key: _sound_ids(data, key, source, report) for key in LISTS}
    for key in ('images', 'categories', 'annotations'):
        needed = key != 'annotations' or not source.test_mode
        if not lists[key] and needed and isinstance(data.get(key), list):
            _add(report, source, 'empty_list', f"'{key}' is empty", f'list the {key}')
    categories = _categories(lists['categories'], source, report)
    images = [x for x in lists['images'] if not _note_image(x, source, report)]
    # An image with a fault is still known: its annotations are not to blame.
    ids = {x['id'] for x in lists['images']}
    annotations = lists['annotations']
    if not looks_sound(annotations, ids, categories):
        _note_shift(annotations, categories, source, report)
        annotations = [
            x
            for x in annotations
            if not _note_annotation(x, ids, categories, source, report)
        ]
    sound = {x['id'] for x in images}
    if len(sound) < len(ids):
        annotations = [x for x in annotations if x['image_id'] in sound]
    return CocoFile(images, annotations, categories)


def _add(
    report: Report, source: Source, code: str, text: str, mend: str, **place: Any
) -> None:
    report.add(Finding(code, source.ann_file, text, mend, **place))


def _sound_ids(
    data: dict[str, Any], key: str, source: Source, report: Report
) -> list[dict]:
    entries = data.get(key)
    if not isinstance(entries, list):
        if key != 'annotations' or not source.test_mode:
            _add(report, source, 'no_list', f"there is no list '{key}'", 'add it')
        return []
    try:
        check_ids(source.ann_file, key, entries)
        return entries
    except DataError:
        wrong = dict(id_faults(entries))
    for position, fault in wrong.items():
        _add(report, source, fault.code, f'{key}[{position}]{fault.text}', fault.mend)
    return [x for i, x in enumerate(entries) if i not in wrong]


def _categories(entries: list[dict], source: Source, report: Report) -> dict[Any, str]:
    named = {}
    for entry in entries:
        if isinstance(entry.get('name'), str):
            named[entry['id']] = entry['name']
        else:
            text = f"category {entry['id']!r} has no 'name'"
            _add(report, source, 'no_name', text, 'give it one')
    return named


def _note_image(image: dict, source: Source, report: Report) -> bool:
    name = image.get('file_name')
    faults = list(image_faults(image, source.allow_outside))
    for fault in faults:
        report.add(
            Finding(
                *(fault.code, source.ann_file, fault.text, fault.mend),
                image_id=image['id'],
                image=name if isinstance(name, str) else None,
            )
        )
    return bool(faults)


def _note_annotation(
    annotation: dict, ids: set, categories: dict, source: Source, report: Report
) -> bool:
    faults = list(annotation_faults(annotation, ids, categories))
    image_id = annotation.get('image_id')
    for fault in faults:
        report.add(
            Finding(
                *(fault.code, source.ann_file, fault.text, fault.mend),
                image_id=image_id if isinstance(image_id, int | str) else None,
                annotation_id=annotation['id'],
            )
        )
    return bool(faults)


def _note_shift(
    annotations: list[dict], categories: dict, source: Source, report: Report
) -> None:
    """Name a usual cause of unknown category ids: counting from another number."""
    step = shift_of(annotations, categories)
    if step:
        which = 'low' if step > 0 else 'high'
        text = f'category_id of all annotations seems to be one too {which}'
        mend = "count category_id as 'id' of 'categories' does (--fix does)"
        _add(report, source, 'shifted_categories', text, mend)


def shift_of(annotations: list[dict], categories: dict[Any, str]) -> int:
    """What to add to all category ids to have known ones; 0 if nothing helps."""
    used = set(_integers(x.get('category_id') for x in annotations))
    known = set(_integers(categories))
    if not used or not known or used <= known:
        return 0
    return next((step for step in (1, -1) if {x + step for x in used} <= known), 0)


def _integers(values: Any) -> Iterator[int]:
    return (x for x in values if isinstance(x, int))
