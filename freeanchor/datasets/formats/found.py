"""What was found in a data set of any format: splits, classes, and remarks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..class_names import nearest
from ..errors import DataError

FORMATS = ('coco', 'yolo', 'voc', 'csv')
SPLITS = ('train', 'val', 'test')
_CALLED = dict(
    train='train', training='train', val='val', valid='val', validation='val',
    dev='val', minival='val', test='test', testing='test',
)  # fmt: skip
_WORD = re.compile(rf'(?<![a-z])({"|".join(_CALLED)})(?![a-z])')


@dataclass
class FoundSplit:
    """The images of one split and their boxes, in COCO's terms.

    Attributes:
        folder: Of the images; each ``file_name`` is relative to it.
        content: ``images``, ``annotations`` (``bbox`` as x, y, width, height in
            pixels) and ``categories``.
        source: Where it was read from, for a person.
        ann_file: The file that holds it in COCO's format already, if one does.
    """

    folder: str
    content: dict[str, Any]
    source: str
    ann_file: str | None = None


@dataclass
class FoundData:
    """A data set as it was found.

    Attributes:
        format: One of ``FORMATS``.
        path: What was asked for.
        splits: By name: ``'train'``, ``'val'``, ``'test'``, those that are there.
        notes: Sentences about what was assumed or left out.
    """

    format: str
    path: Path
    splits: dict[str, FoundSplit]
    notes: list[str] = field(default_factory=list)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in the order of their labels."""
        first = next(iter(self.splits.values()))
        return tuple(x['name'] for x in first.content['categories'])


def split_called(name: str) -> str | None:
    """The split that a path is of, by the last word in it that names one."""
    words = _WORD.findall(name.lower())
    return _CALLED[words[-1]] if words else None


def checked_names(names: Sequence[Any], where: str) -> list[str]:
    """Names of classes, each there once.

    Raises:
        DataError: A name is no text, empty, or there twice.
    """
    for name in names:
        if not isinstance(name, str | int | float) or not str(name).strip():
            raise DataError(f'{where}: {name!r} is no name of a class: write a text')
    texts = [str(name).strip() for name in names]
    for name in texts:
        if texts.count(name) > 1:
            raise DataError(
                f'{where}: the class {name!r} is there twice: rename or remove one'
            )
    return texts


def label_of(name: str, classes: Sequence[str], where: str) -> int:
    """The place of a class.

    Raises:
        DataError: There is no such class; names the nearest.
    """
    if name not in classes:
        known = list(classes)
        raise DataError(
            f'{where}: the class {name!r} is not among those of the data set.'
            f'{nearest(name, known)} They are: {", ".join(known[:20])}'
        )
    return classes.index(name)
