"""Refuse images and annotations of a COCO file that are malformed.

A sound file is recognised by whole columns, which takes a second for COCO's
860,000 boxes. What does not pass is looked at entry by entry, to name it.
"""

import re
import sys
from collections.abc import Hashable, Iterable, Iterator
from itertools import chain
from math import isfinite
from typing import Any, NamedTuple

from .errors import DataError

# Names that lead out of the images' folder, or are read from elsewhere than a disk.
_OUTSIDE = re.compile(r'[/\\]|[A-Za-z]:[/\\]|.*://|(.*[/\\])?\.\.([/\\]|$)', re.DOTALL)


class Fault(NamedTuple):
    """What is wrong with an entry of a file, and what to do."""

    code: str
    text: str
    mend: str

    def __str__(self) -> str:
        return f'{self.text}; {self.mend}'


def check_ids(path: str, key: str, entries: list[Any]) -> None:
    """Every entry is an object with an id of its own."""
    try:
        ids = [entry['id'] for entry in entries]
        if _types(ids) <= {int, str} and len(set(ids)) == len(ids):
            return
    except (KeyError, TypeError):
        pass
    _check_each_id(path, key, entries)


def check_image(path: str, image: dict[str, Any], allow_outside: bool = False) -> None:
    """An image has a file, within the folder of images, and a size."""
    for fault in image_faults(image, allow_outside):
        raise DataError(f'{path}, {named_image(image)}: {fault}')


def named_image(image: dict[str, Any]) -> str:
    """An image as errors name it, by id and file."""
    name = image.get('file_name')
    return f'image {image["id"]!r}' + (f' ({name})' if isinstance(name, str) else '')


def image_faults(image: dict[str, Any], allow_outside: bool = False) -> Iterator[Fault]:
    """What is wrong with an entry of ``images`` that has an id."""
    name = image.get('file_name')
    if not isinstance(name, str) or not name:
        yield Fault('no_file_name', "there is no 'file_name'", 'name its file')
    elif '\0' in name or not _encodable(name):
        yield Fault(
            'file_name',
            f'file_name is {name!r}, which no file can be named',
            'correct it',
        )
    elif not allow_outside and _OUTSIDE.match(name):
        yield Fault(
            'outside_folder',
            f'file_name is {name!r}, which leads out of the folder of images',
            'name a file in that folder, or set allow_outside=True of the data set',
        )
    for side in ('width', 'height'):
        if not (_is_number(image.get(side)) and image[side] > 0):
            yield Fault(
                'no_size',
                f'{side} is {_shown(image, side)}',
                f"set it to the image's {side} in pixels",
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
        for fault in annotation_faults(annotation, image_ids, categories):
            raise DataError(f'{path}, annotation {annotation["id"]!r}: {fault}')


def looks_sound(
    annotations: list[dict[str, Any]],
    image_ids: set[Hashable],
    categories: dict[int, str],
) -> bool:
    """Whether :func:`annotation_faults` finds none; False if in doubt."""
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


def annotation_faults(
    annotation: dict[str, Any],
    image_ids: set[Hashable],
    categories: dict[int, str],
) -> Iterator[Fault]:
    """What is wrong with an annotation: its image, category, box, area, flags."""
    known_ids = dict(image_id=image_ids, category_id=categories)
    for key, known in known_ids.items():
        value = annotation.get(key)
        if not isinstance(value, int | str) or value not in known:
            entries = 'images' if key == 'image_id' else 'categories'
            yield Fault(
                'unknown_image' if key == 'image_id' else 'unknown_category',
                f"{key} is {_shown(annotation, key)}, and no entry of '{entries}' has "
                'that id',
                'correct it, add the entry, or remove the annotation',
            )
    box = annotation.get('bbox')
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        yield Fault(
            'malformed_box',
            f'bbox is {_shown(annotation, "bbox")}',
            'it should be four finite numbers [x, y, width, height] in pixels',
        )
    area = annotation.get('area')
    if area is not None and not _is_number(area):
        yield Fault(
            'malformed_area',
            f'area is {_short(area)}',
            'set it to a finite number of square pixels, or leave it out to have '
            'width x height',
        )
    for flag in ('iscrowd', 'ignore'):
        if annotation.get(flag) not in (0, 1, None):
            yield Fault(
                'malformed_flag', f'{flag} is {_short(annotation[flag])}', 'set 0 or 1'
            )


def _check_each_id(path: str, key: str, entries: list[Any]) -> None:
    for position, fault in id_faults(entries):
        raise DataError(f'{path}, {key}[{position}]{fault.text}; {fault.mend}')


def id_faults(entries: list[Any]) -> Iterator[tuple[int, Fault]]:
    """Places in a list where an id is missing or taken."""
    seen: set[Hashable] = set()
    for position, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get('id'), int | str):
            yield (
                position,
                Fault('no_id', " has no 'id'", 'give each entry a number of its own'),
            )
            continue
        if entry['id'] in seen:
            yield (
                position,
                Fault(
                    'duplicate_id',
                    f': the id {_short(entry["id"])} is taken by an earlier entry',
                    'give each entry an id of its own, or remove the copy',
                ),
            )
        seen.add(entry['id'])


def _types(values: Iterable[Any]) -> set[type]:
    return set(map(type, values))


def _is_number(value: Any) -> bool:
    # Not isfinite(value): that fails for integers beyond a float's range.
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _shown(entry: dict[str, Any], key: str) -> str:
    return _short(entry[key]) if key in entry else 'missing'


def _short(value: Any, limit: int = 80) -> str:
    """A value as errors show it: nobody reads a thousand digits."""
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + '...'


def _encodable(name: str) -> bool:
    """Whether a file can have this name: half of a surrogate pair cannot be written."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
