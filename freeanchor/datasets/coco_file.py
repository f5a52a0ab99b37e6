"""Read an annotation file in COCO's format, and refuse what is malformed.

Boxes that are merely useless (outside the image, thinner than a pixel) pass
here; :class:`~freeanchor.datasets.CocoDataset` leaves them out and counts them.
"""

import json
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

GET_COCO = (
    'COCO itself is fetched by: python tools/data/download_coco.py --run '
    '(without --run it prints the steps)'
)


@dataclass(frozen=True)
class CocoFile:
    """A checked annotation file: every id is known, every box four numbers."""

    images: list[dict[str, Any]]
    annotations: dict[Hashable, list[dict[str, Any]]]  # by image id
    categories: dict[int, str]  # name of each category id, in the file's order


def read_coco(path: str, need_annotations: bool = True) -> CocoFile:
    """Reads and checks the boxes of an annotation file.

    Args:
        path: The file.
        need_annotations: Whether a file that lists no annotations at all, as
            those of test images, is a mistake.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is malformed. The message names the file, the
            image or annotation, and the mend.
    """
    data = _parse(path)
    lists = data if need_annotations else {'annotations': [], **data}
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(lists.get(key), list):
            raise ValueError(
                f"{path} has no list '{key}': an annotation file in COCO's format is "
                "an object with the lists 'images', 'annotations' and 'categories'"
            )
        _check_ids(path, key, lists[key])
    if not lists['images']:
        raise ValueError(f"{path}: 'images' is empty, list the images there")

    categories = _named_categories(path, lists['categories'])
    by_image: dict[Hashable, list[dict[str, Any]]] = {}
    for image in lists['images']:
        _check_image(f'{path}, image {image["id"]!r}', image)
        by_image[image['id']] = []
    for annotation in lists['annotations']:
        place = f'{path}, annotation {annotation["id"]!r}'
        _check_annotation(place, annotation, by_image, categories)
        by_image[annotation['image_id']].append(annotation)
    return CocoFile(lists['images'], by_image, categories)


def _parse(path: str) -> dict[str, Any]:
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"there is no annotation file '{path}' (looked from {Path.cwd()}): set "
            f'data_root and ann_file of the data set to where it is. {GET_COCO}'
        )
    try:
        data = json.loads(Path(path).read_text(encoding='utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f'{path} is not valid JSON ({error}): it may be cut short, download or '
            'export it again'
        ) from error
    if not isinstance(data, dict):
        raise ValueError(
            f'{path} holds a {type(data).__name__}, not an object with the lists '
            "'images', 'annotations' and 'categories': export it in COCO's format"
        )
    return data


def _check_ids(path: str, key: str, entries: Iterable[Any]) -> None:
    """Every entry is an object with an id of its own."""
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


def _named_categories(path: str, categories: list[dict[str, Any]]) -> dict[int, str]:
    if not categories:
        raise ValueError(f"{path}: 'categories' is empty, list the classes there")
    for category in categories:
        if not isinstance(category.get('name'), str):
            raise ValueError(
                f"{path}, category {category['id']!r} has no 'name': give it one"
            )
    return {category['id']: category['name'] for category in categories}


def _check_image(place: str, image: dict[str, Any]) -> None:
    if not isinstance(image.get('file_name'), str):
        raise ValueError(f"{place} has no 'file_name': name its file")
    for side in ('width', 'height'):
        if not (_is_number(image.get(side)) and image[side] > 0):
            raise ValueError(
                f'{place} ({image["file_name"]}): {side} is {_shown(image, side)}; '
                f"set it to the image's {side} in pixels"
            )


def _check_annotation(
    place: str,
    annotation: dict[str, Any],
    image_ids: dict[Hashable, Any],
    categories: dict[int, str],
) -> None:
    for key, known in (('image_id', image_ids), ('category_id', categories)):
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


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool)
    ) and isfinite(value)


def _shown(entry: dict[str, Any], key: str) -> str:
    return repr(entry[key]) if key in entry else 'missing'
