"""Write what was found as files in COCO's format."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from ..errors import DataError
from .found import FoundData, FoundSplit

_FOLDER = 'images'


def coco_text(split: FoundSplit) -> str:
    """A split as the text of an annotation file."""
    return json.dumps(split.content, separators=(',', ':'))


def write_coco(
    data: FoundData, folder: str | Path, copy_images: bool = False
) -> dict[str, tuple[Path, str]]:
    """Write an annotation file for each split into ``folder/annotations``.

    Args:
        data: What :func:`freeanchor.datasets.formats.read_data` found.
        folder: Made if it is not there.
        copy_images: Copy the images into ``folder/images``, a folder for each split.

    Returns:
        For each split the file, and the folder of its images.

    Raises:
        DataError: A file of that name is there and holds something else.
    """
    folder = Path(folder)
    files = {x: folder / 'annotations' / f'{x}.json' for x in data.splits}
    texts = {name: coco_text(split) for name, split in data.splits.items()}
    for name, file in files.items():
        if file.exists() and file.read_text('utf-8') != texts[name]:
            raise DataError(
                f'{file} is there already, with other content: name another folder'
            )
    (folder / 'annotations').mkdir(parents=True, exist_ok=True)
    written = {}
    for name, split in data.splits.items():
        images = split.folder
        if copy_images:
            images = str(folder / _FOLDER / name)
            _copy(split.content['images'], split.folder, images)
        files[name].write_text(texts[name], 'utf-8')
        written[name] = (files[name], images)
    return written


def _copy(images: list[dict[str, Any]], source: str, target: str) -> None:
    for image in images:
        path = os.path.join(target, image['file_name'])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copyfile(os.path.join(source, image['file_name']), path)
