"""YOLO's format: a text file of boxes beside each image, classes in a YAML file.

A line of a label file is ``class x y width height``, the centre and size as shares of
the image's. Folders and ``data.yaml`` are those that Ultralytics documents
(https://docs.ultralytics.com/datasets/detect/), and the exports of Roboflow.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError
from .building import Box, SplitBuilder
from .found import FoundData
from .texts import read_lines
from .tree import Tree
from .yolo_layout import YoloLayout, find_layout

_SLACK = 0.01  # share of the image that rounding may lead outside


def read_yolo(path: Path, tree: Tree) -> FoundData:
    """Reads a folder, or the data set that a ``data.yaml`` describes.

    A polygon is read as the box around it. An image without a label file has no
    objects.

    Args:
        path: The folder, or the YAML file.
        tree: The files below the folder.

    Raises:
        DataError: Names the file and, in it, the line or key.
    """
    layout = find_layout(path, tree)
    notes = list(layout.notes)
    labels = _Labels(layout)
    builders: dict[str, SplitBuilder] = {}
    for split, images in layout.images.items():
        builder = SplitBuilder(f'{path}, {split}')
        builders[split] = builder
        for image in images:
            size = builder.size(image)
            if size is not None:
                builder.add(image, size, labels.boxes(image, size))
    if not labels.num_files:
        first = next(iter(layout.images.values()))[0]
        tried = ' or '.join(map(str, _label_files(first)))
        raise DataError(
            f'{path}: no image has a label file; {first} would have {tried}'
        )
    classes = layout.classes or [f'class_{i}' for i in range(labels.highest + 1)]
    if layout.classes is None:
        notes.append(f'no file names the classes: they are called {", ".join(classes)}')
    notes += labels.notes()
    splits = {name: x.finish(classes, notes) for name, x in builders.items()}
    return FoundData('yolo', path, splits, notes)


class _Labels:
    """Reads label files, and counts what is to be said of them."""

    def __init__(self, layout: YoloLayout) -> None:
        self._number = None if layout.classes is None else len(layout.classes)
        self._named_in = layout.named_in
        self._keypoints = layout.keypoints
        self.highest = 0  # class
        self.num_files = 0
        self.num_without = 0
        self.num_polygons = 0

    def boxes(self, image: Path, size: tuple[int, int]) -> list[Box]:
        """The boxes of an image of that width and height."""
        for file in _label_files(image):
            if file.is_file():
                self.num_files += 1
                return [
                    self._box(line.split(), size, f'{file}, line {i}')
                    for i, line in read_lines(file)
                ]
        self.num_without += 1
        return []

    def notes(self) -> list[str]:
        found = []
        if self.num_without:
            found.append(
                f'{self.num_without} images have no label file: they are taken to hold '
                'no object'
            )
        if self.num_polygons:
            found.append(f'{self.num_polygons} polygons are read as the boxes around')
        return found

    def _box(self, words: Sequence[str], size: tuple[int, int], where: str) -> Box:
        label, numbers = _numbers(words, where)
        if label < 0 or (self._number is not None and label >= self._number):
            raise DataError(
                f'{where}: class {label} is not one of the {self._number} of '
                f'{self._named_in}: they count from 0; correct the line or the names'
            )
        self.highest = max(self.highest, label)
        if len(numbers) > 4 and not self._keypoints:
            if len(numbers) < 6 or len(numbers) % 2:
                raise DataError(
                    f'{where}: has {len(words)} values: a box has 5 (class, x, y, '
                    'width, height), a polygon 7 or more, an odd number; perhaps the '
                    'last one is the score of a prediction: remove it'
                )
            self.num_polygons += 1
            x1, y1 = min(numbers[::2]), min(numbers[1::2])
            x2, y2 = max(numbers[::2]), max(numbers[1::2])
        else:
            x, y, width, height = numbers[:4]
            x1, y1, x2, y2 = (
                *(x - width / 2, y - height / 2),
                *(x + width / 2, y + height / 2),
            )
        return (
            label,
            x1 * size[0],
            y1 * size[1],
            (x2 - x1) * size[0],
            (y2 - y1) * size[1],
        )


def _numbers(words: Sequence[str], where: str) -> tuple[int, list[float]]:
    if len(words) < 5:
        raise DataError(
            f'{where}: has {len(words)} values: a box has 5, class x y width height'
        )
    try:
        values = [float(x) for x in words]
    except ValueError:
        raise DataError(f'{where}: {" ".join(words)[:60]!r} is not numbers') from None
    if not all(map(math.isfinite, values)) or values[0] != int(values[0]):
        raise DataError(
            f'{where}: {" ".join(words)[:60]!r}: the class is a whole number, the '
            'others are finite'
        )
    numbers = values[1:]
    if min(numbers[:4]) < -_SLACK or max(numbers[:4]) > 1 + _SLACK:
        raise DataError(
            f'{where}: {" ".join(words[1:5])} are no shares of the image, from 0 to 1: '
            "divide x and width by the image's width, y and height by its height"
        )
    return int(values[0]), numbers


def _label_files(image: Path) -> list[Path]:
    """Where the labels of an image may be: in ``labels`` for ``images``, or beside."""
    parts = list(image.parts)
    beside = image.with_suffix('.txt')
    if 'images' not in parts[:-1]:
        return [beside]
    last = len(parts) - 2 - parts[-2::-1].index('images')
    parts[last] = 'labels'
    return [Path(*parts).with_suffix('.txt'), beside]
