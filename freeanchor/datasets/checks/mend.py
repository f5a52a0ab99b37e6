"""Make a copy of an annotation file without its faults, and a list of changes."""

from collections import defaultdict
from functools import partial
from typing import Any

from ..coco_entries import id_faults
from .changes import note, rename
from .lenient import read_lenient
from .looking import Looking, look_at_all, look_at_sample
from .mend_boxes import mend_annotations
from .mend_images import mend_images
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
        note(changes, 'encoding changed', encoding, 'annotation files are UTF-8')
    data['annotations'] = _numbered(data['annotations'], changes)
    for key, field in (('images', 'image_id'), ('categories', 'category_id')):
        _drop_wrong_ids(data, key, field, changes)
    _join_categories(data, changes)
    look: Looking = partial(look_at_all, workers=workers)
    if level == 'fast':
        look = partial(look_at_sample, seconds=_SECONDS)
    scales = mend_images(data, source, look, changes)
    mend_annotations(data, scales, changes)
    return data, changes


def _drop_wrong_ids(data: dict, key: str, field: str, changes: list) -> None:
    """Drop entries without an id, copies, and all that share an id but are no copies.

    Which of those the annotations with that id mean nobody knows: they go too.
    """
    wrong = dict(id_faults(data[key]))
    entries: dict[Any, list[dict]] = defaultdict(list)
    for i, entry in enumerate(data[key]):
        if i in wrong and wrong[i].code != 'duplicate_id':
            note(changes, f'dropped from {key}', entry, wrong[i].text.strip())
        else:
            entries[entry['id']].append(entry)
    data[key], torn = [], set()
    for value, (first, *others) in entries.items():
        if all(_same(first, x) for x in others):
            data[key].append(first)
            for entry in others:
                note(changes, f'dropped from {key}', entry, 'it is there twice')
            continue
        torn.add(value)
        for entry in (first, *others):
            note(changes, f'dropped from {key}', entry, 'another entry has its id')
    kept = []
    for annotation in data['annotations']:
        value = annotation.get(field)
        if isinstance(value, int | str) and value in torn:
            why = f"two entries of '{key}' have its {field}"
            note(changes, 'dropped from annotations', annotation, why)
        else:
            kept.append(annotation)
    data['annotations'] = kept


def _same(first: dict, second: dict) -> bool:
    """Whether two entries mean one image, or one category."""
    keys = ('file_name', 'width', 'height', 'name')
    return all(first.get(key) == second.get(key) for key in keys)


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
            note(changes, f'annotation got the id {free}', annotation, wrong[i].text)
            free += 1
        else:
            note(changes, 'dropped from annotations', annotation, 'no object')
    return kept


def _join_categories(data: dict, changes: list) -> None:
    """Give categories of one name one id."""
    first: dict[str, Any] = {}
    new_id = {}
    kept = []
    for category in data['categories']:
        name = category.get('name')
        if not isinstance(name, str):
            note(changes, 'dropped from categories', category, 'it has no name')
        elif name in first:
            new_id[category['id']] = first[name]
            note(changes, 'category joined', category, f'{first[name]!r} has its name')
        else:
            first[name] = category['id']
            kept.append(category)
    data['categories'] = kept
    rename(data['annotations'], 'category_id', new_id)
