"""Where a data set in YOLO's format has its images, and what its classes are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..errors import DataError
from .found import SPLITS, checked_names, split_called
from .texts import read_lines, read_text
from .tree import IMAGES, Tree

_NAMES_OF = dict(train=('train',), val=('val', 'valid', 'validation'), test=('test',))
_CLASS_FILES = ('classes.txt', 'obj.names', '_darknet.labels')
_MOST_CLASSES = 100_000


@dataclass
class YoloLayout:
    """The images of each split.

    Attributes:
        images: By split.
        classes: Names in the order of their numbers; None where no file has them.
        named_in: The file that names them.
        keypoints: Whether points follow the boxes, which are not read.
        notes: What is to be said.
    """

    images: dict[str, list[Path]]
    classes: list[str] | None
    named_in: str = ''
    keypoints: bool = False
    notes: list[str] = field(default_factory=list)


def find_layout(path: Path, tree: Tree) -> YoloLayout:
    """Looks for ``data.yaml``, else at the names of folders.

    Raises:
        DataError: The YAML file is wrong, or leads to no images.
    """
    file = path if path.is_file() else describing_file(tree)
    if file is not None:
        return _described(file)
    names = next(
        (
            x
            for x in tree.ending('.txt', '.names', '.labels')
            if x.name.lower() in _CLASS_FILES
        ),
        None,
    )
    classes = None
    if names is not None:
        classes = checked_names([line for _, line in read_lines(names)], str(names))
    images: dict[str, list[Path]] = {}
    for image in tree.images():
        split = split_called(str(Path(tree.shown(image)).parent)) or 'train'
        images.setdefault(split, []).append(image)
    ordered = {x: images[x] for x in SPLITS if x in images}
    if not ordered:
        raise DataError(f'{path}: there are no images')
    return YoloLayout(ordered, classes, str(names or ''))


def describing_file(tree: Tree) -> Path | None:
    """The YAML file that names folders and classes, if there is one.

    Raises:
        DataError: There are several.
    """
    found = [x for x in tree.ending('.yaml', '.yml') if _describes(x)]
    near = [x for x in found if len(x.parts) == len(found[0].parts)]
    if len(near) > 1:
        raise DataError(
            f'{tree.root}: {", ".join(x.name for x in near)} each describe a data set: '
            'name the one that is meant'
        )
    return near[0] if near else None


def _describes(path: Path) -> bool:
    text = read_text(path)
    keys = {line.split(':')[0] for line in text.splitlines() if ':' in line}
    return 'train' in keys and bool(keys & {'names', 'nc'})


def _described(file: Path) -> YoloLayout:
    try:
        values = yaml.safe_load(read_text(file))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, 'problem_mark', None)
        where = f', line {mark.line + 1}' if mark else ''
        reason = getattr(error, 'problem', None) or type(error).__name__
        raise DataError(f'{file}{where}: is no YAML: {reason}') from None
    if not isinstance(values, dict):
        raise DataError(f'{file}: holds no keys: it wants train, val and names')
    notes: list[str] = []
    base = _base(file, values.get('path'), notes)
    images = {}
    for split, keys in _NAMES_OF.items():
        key = next((x for x in keys if values.get(x)), None)
        if key is not None:
            found = _images_of(file, base, key, values[key])
            if found or split != 'test':
                images[split] = found
            else:
                notes.append(f'{file}: test leads to no images and is left out')
    if not images.get('train'):
        raise DataError(f"{file}: there is no 'train': name the images to train on")
    return YoloLayout(
        images, _names(file, values), str(file), bool(values.get('kpt_shape')), notes
    )


def _base(file: Path, path: Any, notes: list[str]) -> Path:
    """The folder that paths in the file are relative to."""
    if not isinstance(path, str) or not path:
        return file.parent
    for folder in (file.parent / Path(path).expanduser(), Path(path)):
        if folder.is_dir():
            return folder
    notes.append(
        f'{file}: its path {path!r} is not there, so the file is taken to lie in the '
        "data set's folder"
    )
    return file.parent


def _images_of(file: Path, base: Path, key: str, value: Any) -> list[Path]:
    found: list[Path] = []
    for name in value if isinstance(value, list) else [value]:
        if not isinstance(name, str):
            raise DataError(f'{file}: {key} is {name!r}: name a folder or a list')
        tried = _places(file, base, name)
        place = next((x for x in tried if x.exists()), None)
        if place is None and key != 'test':
            shown = ', '.join(map(str, dict.fromkeys(tried)))
            raise DataError(f'{file}: {key} is {name!r}, which is not there: {shown}')
        if place is not None:
            found += _listed(place) if place.is_file() else Tree(place).images()
    if not found and key != 'test':
        raise DataError(f'{file}: {key} is {value!r}, where there are no images')
    return list(dict.fromkeys(found))


def _places(file: Path, base: Path, name: str) -> list[Path]:
    # Roboflow writes ../train/images where train/images is meant.
    parts = [x for x in Path(name).parts if x not in ('..', '.')]
    return [base / Path(name).expanduser(), file.parent / name, base.joinpath(*parts)]


def _listed(path: Path) -> list[Path]:
    """The images that a text file lists, one a line."""
    if path.suffix.lower() in IMAGES:
        return [path]
    found = []
    for number, line in read_lines(path):
        # As Ultralytics: what begins with ./ is relative to the list.
        near = path.parent / line
        image = near if line.startswith('./') or near.is_file() else Path(line)
        if not image.is_file():
            raise DataError(f'{path}, line {number}: there is no image {line!r}')
        found.append(image)
    return found


def _names(file: Path, values: dict[str, Any]) -> list[str]:
    names = values.get('names')
    if isinstance(names, str) and (file.parent / names).is_file():
        names = [line for _, line in read_lines(file.parent / names)]
    if isinstance(names, dict):
        if sorted(map(str, names)) != sorted(map(str, range(len(names)))):
            raise DataError(
                f'{file}: names has the numbers {list(names)[:9]}: count '
                'them from 0, without a gap'
            )
        names = [name for _, name in sorted(names.items(), key=lambda x: int(x[0]))]
    number = values.get('nc')
    if names is None and isinstance(number, int) and 0 < number <= _MOST_CLASSES:
        names = [f'class_{i}' for i in range(number)]
    if not isinstance(names, list) or not names:
        raise DataError(f"{file}: there is no 'names': list the names of the classes")
    _check_number(file, number, names)
    return checked_names(names, f'{file}, names')


def _check_number(file: Path, number: Any, names: Sequence[Any]) -> None:
    if number is not None and number != len(names):
        raise DataError(
            f'{file}: nc is {number}, but names has {len(names)}: correct one of them'
        )
