"""COCO's own format: find the file of each split, and the folder of its images."""

import mmap
import os
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

from ..coco_entries import check_annotations, check_ids, check_image
from ..coco_file import LISTS, parse_coco
from ..errors import DataError
from .found import SPLITS, FoundData, FoundSplit, checked_names, split_called
from .tree import Tree

_LOOKED_FOR = 20  # images, to find their folder by
_FIRST = 'instances_'  # COCO's own name for the files with boxes


def read_coco_set(path: Path, tree: Tree, outlines: bool = False) -> FoundData:
    """Finds the annotation files below a folder; or takes the one that is named.

    Args:
        path: The folder, or a file.
        tree: The files below the folder.
        outlines: Whether to keep polygons.

    Raises:
        DataError: There are several files for one split, a file is malformed, or
            its images are not found.
    """
    if path.is_file():
        files = {'train': path}
    else:
        files = _by_split(path, tree)
    splits = {}
    for split in (x for x in SPLITS if x in files):
        splits[split] = _split(files[split], split, tree, outlines)
    first = splits.get('train') or next(iter(splits.values()))
    found = FoundData('coco', path, splits)
    names = [x['name'] for x in first.content['categories']]
    used = {x['category_id'] for x in first.content['annotations']}
    empty = [x['name'] for x in first.content['categories'] if x['id'] not in used]
    if empty and len(names) <= len(used) + 3:
        found.notes.append(f'no object of {first.source} is of {", ".join(empty)}')
    return found


def looks_like_coco(path: Path) -> bool:
    """Whether a file has the names of COCO's three lists in it."""
    if path.stat().st_size == 0:
        return False
    with (
        path.open('rb') as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return all(content.find(f'"{x}"'.encode()) >= 0 for x in LISTS)


def _by_split(path: Path, tree: Tree) -> dict[str, Path]:
    found: dict[str, list[Path]] = {}
    for file in tree.ending('.json'):
        if looks_like_coco(file):
            split = split_called(tree.shown(file)) or 'train'
            found.setdefault(split, []).append(file)
    if not found:
        raise DataError(f"{path}: there is no .json file in COCO's format")
    return {split: _only(split, files, tree) for split, files in found.items()}


def _only(split: str, files: list[Path], tree: Tree) -> Path:
    preferred = [x for x in files if x.name.startswith(_FIRST)] or files
    if len(preferred) > 1:
        names = ', '.join(tree.shown(x) for x in preferred[:5])
        raise DataError(
            f'{tree.root}: several annotation files may be those of {split}: {names}. '
            'Name the file that is meant, or move the others away'
        )
    return preferred[0]


def see_doctor(file: str) -> str:
    """What follows an error in an annotation file, as there may be more of them."""
    return f'. All its faults: python tools/data/doctor.py --ann {shlex.quote(file)}'


def _split(file: Path, split: str, tree: Tree, outlines: bool) -> FoundSplit:
    content = parse_coco(str(file), outlines)
    try:
        _check(str(file), content)
    except DataError as error:
        raise DataError(f'{error}{see_doctor(str(file))}') from None
    folder = _folder(file, split, content['images'], tree)
    return FoundSplit(folder, content, str(file), ann_file=str(file))


def _check(file: str, content: dict[str, Any]) -> None:
    """Refuse lists in which an entry is malformed, or has a neighbour's id."""
    for key in LISTS:
        if not isinstance(content.get(key), list):
            raise DataError(f'{file} has no list {key!r}')
        check_ids(file, key, content[key])
    if not content['images']:
        raise DataError(f"{file}: 'images' is empty")
    for image in content['images']:
        check_image(file, image)
    checked_names([x.get('name') for x in content['categories']], f'{file}, categories')
    names = {x['id']: str(x['name']) for x in content['categories']}
    image_ids = {x['id'] for x in content['images']}
    check_annotations(file, content['annotations'], image_ids, names)


def _folder(file: Path, split: str, images: list[dict[str, Any]], tree: Tree) -> str:
    """The folder that names of images are relative to: most of a sample are there."""
    step = max(1, len(images) // _LOOKED_FOR)
    votes: Counter[str] = Counter()
    sample = [x['file_name'] for x in images[::step]]
    for name in sample:
        for place in tree.all_images(name):
            tail = os.sep + name.replace('/', os.sep)
            if str(place).endswith(tail):
                votes[str(place)[: -len(tail)]] += 1
    if not votes:
        raise DataError(
            f'{file}: its images are not found below {tree.root}, for example '
            f'{sample[0]!r}: put them there, or name the folder that holds both'
        )
    return max(votes, key=lambda x: (votes[x], split_called(x) == split, -len(x)))
