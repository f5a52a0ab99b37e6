"""Mend entries of images: the size, and two entries of one file; drop the useless."""

import os
from collections import defaultdict
from collections.abc import Hashable
from typing import Any, NamedTuple

from ..coco_entries import image_faults
from .changes import note, rename
from .findings import WARNINGS
from .images import scale_of, size_faults
from .look import Look
from .looking import Looking
from .source import Source


class _Mended(NamedTuple):
    image: dict[str, Any]
    scale: tuple[float, float] | None = None  # of its boxes


def mend_images(
    data: dict[str, Any], source: Source, look: Looking, changes: list[dict[str, Any]]
) -> dict[Hashable, tuple[float, float]]:
    """Replaces ``data['images']``, each with the size of its file.

    Args:
        data: Lists whose ids are sound.
        source: Where they are from.
        look: Looks at the files, or some of them.
        changes: Gets what was dropped or changed.

    Returns:
        How much wider and higher its file is than what was annotated, by id of
        annotation, where that is not 1.
    """
    named = _named(data['images'], source, changes)
    of_image = _by_image(data['annotations'])
    paths = [os.path.join(source.folder, x['file_name']) for x in named]
    seen = look(paths, source.max_pixels)
    kept: dict[str, dict] = {}
    new_id = {}
    scales = {}
    for i, image in enumerate(named):
        annotations = of_image[image['id']]
        boxes = [x.get('bbox') for x in annotations]
        mended = _mended(image, seen.get(i), boxes, changes)
        if mended is None:
            continue
        if mended.scale is not None:
            scales.update({x['id']: mended.scale for x in annotations})
        path = os.path.normpath(image['file_name'])
        first = kept.setdefault(path, mended.image)
        if first is not mended.image:
            new_id[image['id']] = first['id']
            note(changes, 'image joined', image, f'image {first["id"]!r} has its file')
    data['images'] = list(kept.values())
    rename(data['annotations'], 'image_id', new_id)
    return scales


def _by_image(annotations: list[dict]) -> dict[Hashable, list[dict]]:
    of_image = defaultdict(list)
    for annotation in annotations:
        if isinstance(annotation.get('image_id'), int | str):
            of_image[annotation['image_id']].append(annotation)
    return of_image


def _named(images: list[dict], source: Source, changes: list) -> list[dict]:
    """The images that have a file."""
    named = []
    for image in images:
        faults = list(image_faults(image, source.allow_outside))
        reasons = [x.text for x in faults if x.code != 'no_size']
        if reasons:
            note(changes, 'dropped from images', image, reasons[0])
        else:
            named.append(image)
    return named


def _mended(
    image: dict, found: Look | None, boxes: list, changes: list
) -> _Mended | None:
    """The image with the size of its file, or None where it is of no use."""
    sizeless = bool(list(image_faults(image, allow_outside=True)))
    if found is None:  # not looked at
        if sizeless:
            note(changes, 'dropped from images', image, 'it has no size')
        return None if sizeless else _Mended(image)
    problems = [text for code, text in found.problems if code not in WARNINGS]
    if problems or found.header is None:
        note(changes, 'dropped from images', image, (problems or ['no header'])[0])
        return None
    codes = [] if sizeless else [code for code, _, _ in size_faults(image, found)]
    if not sizeless and WARNINGS.issuperset(codes):
        return _Mended(image)
    mended = _resized(image, found.header.upright, codes, boxes)
    if mended is None:
        why = 'nobody can tell where its boxes are in a file of another size'
        note(changes, 'dropped from images', image, why)
        return None
    change = f'size set to {mended.image["width"]} x {mended.image["height"]}'
    if mended.scale is not None:
        change += f', boxes scaled by {mended.scale[0]:.6g} and {mended.scale[1]:.6g}'
    note(changes, change, image, 'that of the file')
    return mended


def _resized(
    image: dict, size: tuple[int, int], codes: list[str], boxes: list
) -> _Mended | None:
    """The image with another size, if its boxes can be found in that."""
    width, height = size
    mended = {**image, 'width': width, 'height': height}
    if not boxes:
        return _Mended(mended)
    if 'scaled_size' in codes:
        return _Mended(mended, scale_of(image, size))
    if 'wrong_size' in codes and not _about_equal(image, width, height):
        return None
    fits = all(_fits(box, width, height) for box in boxes)
    return _Mended(mended) if fits else None


def _about_equal(image: dict, width: int, height: int) -> bool:
    return abs(image['width'] - width) <= 1 and abs(image['height'] - height) <= 1


def _fits(box: Any, width: int, height: int) -> bool:
    try:
        x, y, w, h = box
        return bool(x > -1 and y > -1 and x + w < width + 1 and y + h < height + 1)
    except (TypeError, ValueError):  # it is dropped later
        return True
