"""Refuse images and annotations of a COCO file that are malformed.

A sound file is recognised by whole columns, which takes a second for COCO's
860,000 boxes. What does not pass is looked at entry by entry, to name it.
"""

import sys
from collections.abc import Hashable, Iterable
from itertools import chain
from math import isfinite
from typing import Any


def check_ids(path: str, key: str, entries: list[Any]) -> None:
    """Every entry is an object with an id of its own."""
    try:
        ids = [entry['id'] for entry in entries]
        if _types(ids) <= {int, str} and len(set(ids)) == len(ids):
            return
    except (KeyError, TypeError):
        pass
    _check_each_id(path, key, entries)


def check_image(place: str, image: dict[str, Any]) -> None:
    """An image has a file and a size."""
    if not isinstance(image.get('file_name'), str):
        raise ValueError(f"{place} has no 'file_name': name its file")
    for side in ('width', 'height'):
        if not (_is_number(image.get(side)) and image[side] > 0):
            raise ValueError(
                f'{place} ({image["file_name"]}): {side} is {_shown(image, side)}; '
                f"set it to the image's {side} in pixels"
            )


def check_annotations(
    path: str,
    annotations: list[dict[str, Any]],
    image_ids: set[Hashable],
    categories: dict[int, str],
) -> None:
    """Every annotation has a box, of a known image and category."""
    if looks_sound(annotations, image_ids, categories):
        return
    for annotation in annotations:
        place = f'{path}, annotation {annotation["id"]!r}'
        check_annotation(place, annotation, image_ids, categories)


def looks_sound(
    annotations: list[dict[str, Any]],
    image_ids: set[Hashable],
    categories: dict[int, str],
) -> bool:
    """Whether :func:`check_annotation` would pass all; False if in doubt."""
    try:
        of_image = [x['image_id'] for x in annotations]
        of_category = [x['category_id'] for x in annotations]
        boxes = [x['bbox'] for x in annotations]
        numbers = list(chain.from_iterable(boxes))
        areas = [x['area'] for x in annotations if x.get('area') is not None]
        flags = {x.get(key) for key in ('iscrowd', 'ignore') for x in annotations}
        return (
            _types(of_image) | _types(of_category) <= {int, str}
            and image_ids.issuperset(of_image)
            and categories.keys() >= set(of_category)
            and _types(boxes) <= {list}
            and set(map(len, boxes)) <= {4}
            and _types(numbers) | _types(areas) <= {int, float}
            and all(map(isfinite, numbers))
            and all(map(isfinite, areas))
            and flags <= {0, 1, None}
        )
    except (KeyError, TypeError, OverflowError):
        return False


def check_annotation(
    place: str,
    annotation: dict[str, Any],
    image_ids: set[Hashable],
    categories: dict[int, str],
) -> None:
    """One annotation has a box, of a known image and category."""
    known_ids = dict(image_id=image_ids, category_id=categories)
    for key, known in known_ids.items():
        value = annotation.get(key)
        if not isinstance(value, int | str) or value not in known:
            entries = 'images' if key == 'image_id' else 'categories'
            raise ValueError(
                f"{place}: {key} is {_shown(annotation, key)}, and no entry of '"
                f"{entries}' has that id; correct it, add the entry, or remove the "
                'annotation'
            )
    box = annotation.get('bbox')
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        raise ValueError(
            f'{place}: bbox is {_shown(annotation, "bbox")}; it should be four finite '
            'numbers [x, y, width, height] in pixels'
        )
    area = annotation.get('area')
    if area is not None and not _is_number(area):
        raise ValueError(
            f'{place}: area is {area!r}; set it to a finite number of square pixels, '
            'or leave it out to have width x height'
        )
    for flag in ('iscrowd', 'ignore'):
        if annotation.get(flag) not in (0, 1, None):
            raise ValueError(f'{place}: {flag} is {annotation[flag]!r}; set 0 or 1')


def _check_each_id(path: str, key: str, entries: list[Any]) -> None:
    seen: set[Hashable] = set()
    for position, entry in enumerate(entries):
        place = f'{path}, {key}[{position}]'
        if not isinstance(entry, dict) or not isinstance(entry.get('id'), int | str):
            raise ValueError(
                f"{place} has no 'id': give each entry a number of its own"
            )
        if entry['id'] in seen:
            raise ValueError(
                f'{place}: the id {entry["id"]!r} is taken by an earlier entry; '
                'give each entry an id of its own, or remove the copy'
            )
        seen.add(entry['id'])


def _types(values: Iterable[Any]) -> set[type]:
    return set(map(type, values))


def _is_number(value: Any) -> bool:
    # Not isfinite(value): that fails for integers beyond a float's range.
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _shown(entry: dict[str, Any], key: str) -> str:
    return repr(entry[key]) if key in entry else 'missing'
