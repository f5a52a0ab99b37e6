"""Read an annotation file in COCO's format, and refuse what is malformed.

Boxes that are merely useless (outside the image, thinner than a pixel) pass
here; :class:`~freeanchor.datasets.CocoDataset` leaves them out and counts them.
"""

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .coco_entries import check_annotations, check_ids, check_image
from .coco_outlines import without_outlines

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
        check_ids(path, key, lists[key])
    if not lists['images']:
        raise ValueError(f"{path}: 'images' is empty, list the images there")

    categories = _named_categories(path, lists['categories'])
    for image in lists['images']:
        check_image(f'{path}, image {image["id"]!r}', image)
    image_ids = {image['id'] for image in lists['images']}
    check_annotations(path, lists['annotations'], image_ids, categories)
    return CocoFile(lists['images'], lists['annotations'], categories)


def _parse(path: str) -> dict[str, Any]:
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"there is no annotation file '{path}' (looked from {Path.cwd()}): set "
            f'data_root and ann_file of the data set to where it is. {GET_COCO}'
        )
    try:
        data = _loads(Path(path).read_bytes())
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


def _loads(content: bytes) -> Any:
    """Parse JSON, but for the outlines in it."""
    try:
        with _no_collection():
            return json.loads(without_outlines(content).decode('utf-8'))
    except json.JSONDecodeError:
        # Again, to name the place in the file as it is.
        return json.loads(content.decode('utf-8'))


@contextmanager
def _no_collection() -> Iterator[None]:
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
        raise ValueError(f"{path}: 'categories' is empty, list the classes there")
    for category in categories:
        if not isinstance(category.get('name'), str):
            raise ValueError(
                f"{path}, category {category['id']!r} has no 'name': give it one"
            )
    return {category['id']: category['name'] for category in categories}
