"""Read an annotation file in COCO's format, and refuse what is malformed.

Boxes that are merely useless (outside the image, thinner than a pixel) pass
here; :class:`~freeanchor.datasets.CocoDataset` leaves them out and counts them.
"""

import codecs
import gc
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .coco_entries import check_annotations, check_ids, check_image
from .coco_outlines import without_outlines
from .errors import DataError

LISTS = ('images', 'annotations', 'categories')
_FORM = (
    "an annotation file in COCO's format is an object with the lists 'images', "
    "'annotations' and 'categories'; export it so"
)
# The longer marks first: UTF-32's begins with UTF-16's.
_MARKS = {
    codecs.BOM_UTF8: 'UTF-8 with a byte order mark',
    codecs.BOM_UTF32_LE: 'UTF-32',
    codecs.BOM_UTF32_BE: 'UTF-32',
    codecs.BOM_UTF16_LE: 'UTF-16',
    codecs.BOM_UTF16_BE: 'UTF-16',
}
_parsed: dict[tuple[str, int, int], dict[str, Any]] = {}  # by keep_parsed

GET_COCO = (
    'COCO itself is fetched by: python tools/data/download_coco.py --run '
    '(without --run it prints the steps)'
)


@dataclass(frozen=True)
class CocoFile:
    """A checked annotation file: every id is known, every box four numbers."""

    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]  # without outlines
    categories: dict[int, str]  # name of each category id, in the file's order


def read_coco(
    path: str, need_annotations: bool = True, allow_outside: bool = False
) -> CocoFile:
    """Reads and checks the boxes of an annotation file.

    Args:
        path: The file.
        need_annotations: Whether a file that lists no annotations at all, as
            those of test images, is a mistake.
        allow_outside: Whether an image's file may lie outside the images' folder.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file is malformed. The message names the file, the
            image or annotation, and the mend.
    """
    with no_collection():
        return _checked(path, need_annotations, allow_outside)


def _checked(path: str, need_annotations: bool, allow_outside: bool) -> CocoFile:
    found = _parsed.pop(_state(path), None)
    if found is not None:
        return _as_file(path, found)
    data = parse_coco(path)
    lists = data if need_annotations else {'annotations': [], **data}
    for key in LISTS:
        if not isinstance(lists.get(key), list):
            raise DataError(f'{path} has no list {key!r}: {_FORM}')
        check_ids(path, key, lists[key])
    if not lists['images']:
        raise DataError(f"{path}: 'images' is empty, list the images there")

    file = _as_file(path, lists)
    for image in file.images:
        check_image(path, image, allow_outside)
    image_ids = {image['id'] for image in file.images}
    check_annotations(path, file.annotations, image_ids, file.categories)
    return file


def _as_file(path: str, lists: dict[str, Any]) -> CocoFile:
    categories = _named_categories(path, lists['categories'])
    return CocoFile(lists['images'], lists.get('annotations', []), categories)


def parse_coco(path: str, outlines: bool = False) -> dict[str, Any]:
    """The object in an annotation file, whose content is not looked at yet.

    Args:
        path: The file: JSON, whatever its name.
        outlines: Whether to keep polygons under ``segmentation``.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is not JSON in UTF-8, or holds no object.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"there is no annotation file '{path}' (looked from {Path.cwd()}): set "
            f'data_root and ann_file of the data set to where it is. {GET_COCO}'
        )
    content = Path(path).read_bytes()
    _check_encoding(path, content)
    try:
        data = _loads(content, outlines)
    except UnicodeDecodeError as error:
        raise DataError(
            f'{path} is not valid JSON: it is not UTF-8 but perhaps Latin-1 '
            f'({error.reason}); save it as UTF-8'
        ) from error
    except ValueError as error:  # no JSON, or an integer of thousands of digits
        raise DataError(
            f'{path} is not valid JSON ({error}): it may be cut short, download or '
            'export it again'
        ) from error
    except RecursionError as error:
        raise DataError(
            f'{path} nests lists or objects a thousand deep: it is no annotation file, '
            'export it again'
        ) from error
    if not isinstance(data, dict):
        raise DataError(f'{path} holds a {type(data).__name__}: {_FORM}')
    return data


def keep_parsed(path: str, data: dict[str, Any]) -> None:
    """Let the next :func:`read_coco` of this file, if unchanged, use ``data``.

    It must be known to be sound: it is not checked again. A check reads the whole
    file before training, and COCO's takes ten seconds.
    """
    _parsed[_state(path)] = data


def _state(path: str) -> tuple[str, int, int]:
    """What tells a file from another, and from itself once it is changed."""
    try:
        found = os.stat(path)
    except OSError:
        return path, 0, 0
    return os.path.abspath(path), found.st_mtime_ns, found.st_size


def _check_encoding(path: str, content: bytes) -> None:
    if content.startswith(b'\x80'):
        raise DataError(
            f'{path} is a pickle, which can run code and is not read: export it as JSON'
        )
    for mark, name in _MARKS.items():
        if content.startswith(mark):
            raise DataError(
                f'{path} is not valid JSON: it is written in {name}; save it as UTF-8 '
                '(without a byte order mark)'
            )


def _loads(content: bytes, outlines: bool) -> Any:
    """Parse JSON, unless told otherwise without the outlines in it."""
    if outlines:
        return json.loads(content.decode('utf-8'))
    try:
        with no_collection():
            return json.loads(without_outlines(content).decode('utf-8'))
    except json.JSONDecodeError:
        # Again, to name the place in the file as it is.
        return json.loads(content.decode('utf-8'))


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep Python from looking for garbage among millions of fresh objects."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _named_categories(path: str, categories: list[dict[str, Any]]) -> dict[int, str]:
    if not categories:
        raise DataError(f"{path}: 'categories' is empty, list the classes there")
    for category in categories:
        if not isinstance(category.get('name'), str):
            raise DataError(
                f"{path}, category {category['id']!r} has no 'name': give it one"
            )
    return {category['id']: category['name'] for category in categories}
