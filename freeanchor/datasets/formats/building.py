"""Write down images and boxes as the lists of COCO's format."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..image_header import HEADER_BYTES, HeaderError, read_header
from .found import FoundSplit

Box = tuple[int, float, float, float, float]
"""Label, then x, y, width and height in pixels."""
_MOST_BROKEN = 0.01  # of the images


def categories(classes: Sequence[str]) -> list[dict[str, Any]]:
    """COCO's list of classes; ids count from 1."""
    return [dict(id=i, name=name) for i, name in enumerate(classes, 1)]


class SplitBuilder:
    """Collects the images of a split, one by one.

    Args:
        source: Where they are read from, for a person.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.broken: list[str] = []  # images that cannot be read, with the reason
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def size(self, image: Path) -> tuple[int, int] | None:
        """Width and height of an image as it is shown, in pixels.

        None, and it is noted among ``broken``, where the file cannot be read.
        """
        try:
            return _upright_size(image)
        except (HeaderError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self.broken.append(f'{image.name} ({reason})')
            return None

    def add(
        self,
        image: Path,
        size: tuple[int, int],
        boxes: Iterable[Box],
        crowds: Iterable[Box] = (),
    ) -> None:
        """Take an image and its boxes; ``crowds`` are neither object nor background."""
        image_id = len(self._images) + 1
        entry = dict(id=image_id, file_name=os.path.abspath(image))
        self._images.append(dict(entry, width=size[0], height=size[1]))
        for is_crowd, some in enumerate((boxes, crowds)):
            for label, x, y, width, height in some:
                self._annotations.append(
                    dict(
                        id=len(self._annotations) + 1,
                        image_id=image_id,
                        category_id=label + 1,
                        bbox=[round(v, 3) for v in (x, y, width, height)],
                        area=round(width * height, 3),
                        iscrowd=is_crowd,
                    )
                )

    def finish(self, classes: Sequence[str], notes: list[str]) -> FoundSplit:
        """The split; what is to be said of it is added to ``notes``.

        Raises:
            DataError: It has no image, or many of them cannot be read.
        """
        number = len(self._images) + len(self.broken)
        if not self._images and not self.broken:
            raise DataError(f'{self.source}: there are no images')
        if self.broken:
            shown = ', '.join(self.broken[:3]) + ', ...' * (len(self.broken) > 3)
            text = f'{self.source}: {len(self.broken)} of {number} images'
            if len(self.broken) > max(1, _MOST_BROKEN * number):
                raise DataError(f'{text} cannot be read: {shown}; replace them')
            notes.append(f'{text} cannot be read and are left out: {shown}')
        paths = [x['file_name'] for x in self._images]
        folder = os.path.commonpath([os.path.dirname(x) for x in paths])
        for entry in self._images:
            relative = os.path.relpath(entry['file_name'], folder)
            entry['file_name'] = relative.replace(os.sep, '/')
        content = dict(
            images=self._images,
            annotations=self._annotations,
            categories=categories(classes),
        )
        return FoundSplit(folder, content, self.source)


def _upright_size(path: Path) -> tuple[int, int]:
    with path.open('rb') as file:
        content = file.read(HEADER_BYTES)
        try:
            return read_header(content).upright
        except HeaderError:
            if len(content) < HEADER_BYTES:
                raise
            return read_header(content + file.read()).upright
