"""Write what was found as files in COCO's format."""

import filecmp
import json
import shutil
from itertools import chain
from pathlib import Path

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
        DataError: A file of that name is there and holds something else. Then
            nothing is written.
    """
    folder = Path(folder)
    files = {x: folder / 'annotations' / f'{x}.json' for x in data.splits}
    texts = {name: coco_text(split) for name, split in data.splits.items()}
    for name, file in files.items():
        if file.exists() and file.read_text('utf-8') != texts[name]:
            raise _taken(file)
    images = {name: split.folder for name, split in data.splits.items()}
    if copy_images:
        images = {name: str(folder / _FOLDER / name) for name in data.splits}
        copies = [_copies(x, images[name]) for name, x in data.splits.items()]
        for source, target in chain.from_iterable(copies):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    (folder / 'annotations').mkdir(parents=True, exist_ok=True)
    for name, file in files.items():
        file.write_text(texts[name], 'utf-8')
    return {name: (file, images[name]) for name, file in files.items()}


def _copies(split: FoundSplit, target: str) -> list[tuple[Path, Path]]:
    """From where to where the images are copied that are not there yet."""
    found = []
    for image in split.content['images']:
        source = Path(split.folder, image['file_name'])
        copy = Path(target, image['file_name'])
        if not copy.exists():
            found.append((source, copy))
        elif not filecmp.cmp(source, copy, shallow=False):
            raise _taken(copy)
    return found


def _taken(file: Path) -> DataError:
    return DataError(
        f'{file} is there already, with other content: name another folder'
    )
