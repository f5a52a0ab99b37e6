"""Make a copy of an annotation file without its faults, and a list of changes."""

import os
from collections import defaultdict
from functools import partial
from typing import Any

from ..coco_entries import id_faults, image_faults
from .findings import WARNINGS
from .images import Looking, size_faults
from .lenient import read_lenient
from .look import Look
from .looking import look_at_all, look_at_sample
from .mend_boxes import mend_annotations
from .source import Source

_SECONDS = 60  # for a sample of the files


def mended(
    source: Source, level: str = 'full', workers: int | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A copy of an annotation file that the check passes.

    What cannot be mended without guessing is dropped, an image with its boxes.

    Args:
        source: The file, its images and classes.
        level: ``'full'`` decodes every image, ``'fast'`` looks at some.
        workers: Processes that decode images.

    Returns:
        The content, and what was dropped or changed: each with ``change``,
        ``entry`` and ``why``.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is no JSON object.
    """
    data, encoding = read_lenient(source.ann_file)
    changes: list[dict[str, Any]] = []
    if encoding != 'utf-8':
        _note(changes, 'encoding changed', encoding, 'annotation files are UTF-8')
    for key in ('images', 'categories'):
        data[key] = _without_wrong_ids(key, data[key], changes)
    data['annotations'] = _numbered(data['annotations'], changes)
    _join_categories(data, changes)
    look: Looking = partial(look_at_all, workers=workers)
    if level == 'fast':
        look = partial(look_at_sample, seconds=_SECONDS)
    _mend_images(data, source, look, changes)
    mend_annotations(data, changes)
    return data, changes


def _note(changes: list, change: str, entry: Any, why: str) -> None:
    changes.append(dict(change=change, entry=entry, why=why))


def _without_wrong_ids(key: str, entries: list, changes: list) -> list[dict]:
    wrong = dict(id_faults(entries))
    for position, fault in wrong.items():
        _note(changes, f'dropped from {key}', entries[position], fault.text.strip(': '))
    return [x for i, x in enumerate(entries) if i not in wrong]


def _numbered(annotations: list, changes: list) -> list[dict]:
    """Annotations with an id of their own; a copy's is changed, for it has a box."""
    wrong = dict(id_faults(annotations))
    kept = []
    used = [x['id'] for i, x in enumerate(annotations) if i not in wrong]
    free = max((x for x in used if isinstance(x, int)), default=0) + 1
    for i, annotation in enumerate(annotations):
        if i not in wrong:
            kept.append(annotation)
        elif isinstance(annotation, dict):
            kept.append({**annotation, 'id': free})
            _note(changes, f'annotation got the id {free}', annotation, wrong[i].text)
            free += 1
        else:
            _note(changes, 'dropped from annotations', annotation, 'no object')
    return kept


def _join_categories(data: dict, changes: list) -> None:
    """Give categories of one name one id."""
    first: dict[str, Any] = {}
    new_id = {}
    kept = []
    for category in data['categories']:
        name = category.get('name')
        if not isinstance(name, str):
            _note(changes, 'dropped from categories', category, 'it has no name')
        elif name in first:
            new_id[category['id']] = first[name]
            _note(changes, 'category joined', category, f'{first[name]!r} has its name')
        else:
            first[name] = category['id']
            kept.append(category)
    data['categories'] = kept
    _renamed(data['annotations'], 'category_id', new_id)


def _renamed(annotations: list[dict], key: str, new_id: dict) -> None:
    for i, annotation in enumerate(annotations):
        value = annotation.get(key)
        if isinstance(value, int | str) and value in new_id:
            annotations[i] = {**annotation, key: new_id[value]}


def _mend_images(data: dict, source: Source, look: Looking, changes: list) -> None:
    named = []
    for image in data['images']:
        faults = list(image_faults(image, source.allow_outside))
        reasons = [x.text for x in faults if x.code != 'no_size']
        if reasons:
            _note(changes, 'dropped from images', image, reasons[0])
        else:
            named.append(image)
    boxes = defaultdict(list)
    for annotation in data['annotations']:
        if isinstance(annotation.get('image_id'), int | str):
            boxes[annotation['image_id']].append(annotation.get('bbox'))
    paths = [os.path.join(source.folder, x['file_name']) for x in named]
    seen = look(paths, source.max_pixels)
    kept: dict[str, dict] = {}
    new_id = {}
    for i, image in enumerate(named):
        found = _mend_image(image, seen.get(i), boxes[image['id']], changes)
        if found is None:
            continue
        first = kept.setdefault(os.path.normpath(found['file_name']), found)
        if first is not found:
            new_id[found['id']] = first['id']
            _note(changes, 'image joined', image, f'image {first["id"]!r} has its file')
    data['images'] = list(kept.values())
    _renamed(data['annotations'], 'image_id', new_id)


def _mend_image(
    image: dict, found: Look | None, boxes: list, changes: list
) -> dict | None:
    """The image with the size of its file, or None where it is of no use."""
    sizeless = bool(list(image_faults(image, allow_outside=True)))
    if found is None:  # not looked at
        if sizeless:
            _note(changes, 'dropped from images', image, 'it has no size')
        return None if sizeless else image
    problems = [text for code, text in found.problems if code not in WARNINGS]
    if problems or found.header is None:
        _note(changes, 'dropped from images', image, (problems or ['no header'])[0])
        return None
    wrong = sizeless or any(
        code not in WARNINGS for code, _, _ in size_faults(image, found)
    )
    if not wrong:
        return image
    width, height = found.header.upright
    if all(_fits(box, width, height) for box in boxes):
        _note(changes, f'size set to {width} x {height}', image, 'that of the file')
        return {**image, 'width': width, 'height': height}
    _note(
        changes, 'dropped from images', image, 'boxes do not fit the size of its file'
    )
    return None


def _fits(box: Any, width: int, height: int) -> bool:
    try:
        x, y, w, h = box
        return bool(x > -1 and y > -1 and x + w < width + 1 and y + h < height + 1)
    except (TypeError, ValueError):  # it is dropped later
        return True
