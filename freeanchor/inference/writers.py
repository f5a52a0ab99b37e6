"""Where detections go: pictures, videos, JSON, CSV."""

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlparse

import numpy as np
from mmengine.structures import InstanceData
from PIL import Image

from freeanchor.engine.durable import write_text_atomically
from freeanchor.visualization import draw_detections

from .detecting import Detected
from .results import to_dicts
from .video import VideoFile

_QUALITY = 92  # of JPEG; with full colour resolution, so that lines stay crisp
_MARK = b'detections drawn by freeanchor'  # the comment of our pictures
_COLUMNS = ('image', 'name', 'label', 'score', 'x1', 'y1', 'x2', 'y2')


class Writer(Protocol):
    """Takes the detections of one image after the other."""

    def add(self, detected: Detected) -> None: ...

    def close(self) -> None: ...


class OutputFolder:
    """Names files after what they show, each with a name of its own.

    A picture of an earlier run is replaced; any other file that is there stays as
    it is.

    Args:
        folder: Made with the first file, where it is missing.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder)
        self._taken: set[str] = set()

    def place_for(self, name: str, suffix: str) -> Path:
        """``a.jpg``, then ``a_2.jpg`` where an ``a.jpg`` is to stay.

        Args:
            name: A path, URL or other name of an image or video.
            suffix: Of the new file.
        """
        stem = Path(urlparse(name).path if '://' in name else name).stem or 'image'
        place, number = self.path / (stem + suffix), 1
        while place.name in self._taken or not _may_replace(place):
            number += 1
            place = self.path / f'{stem}_{number}{suffix}'
        self._taken.add(place.name)
        self.path.mkdir(parents=True, exist_ok=True)
        return place


def _may_replace(path: Path) -> bool:
    """Whether there is no such file, or a picture that was written here."""
    if not os.path.lexists(path):
        return True
    try:
        with Image.open(path) as picture:
            return picture.info.get('comment') == _MARK
    except OSError:
        return False


class PictureWriter:
    """A JPEG of each image with its detections, named as the image.

    Its comment says that it is one, so that a later run may replace it.

    Args:
        folder: Where they go.
        class_names: Name of each label.
    """

    def __init__(self, folder: OutputFolder, class_names: Sequence[str]) -> None:
        self._folder = folder
        self._class_names = class_names

    def add(self, detected: Detected) -> None:
        path = self._folder.place_for(detected.name, '.jpg')
        picture = Image.fromarray(annotated(detected, self._class_names))
        picture.save(path, quality=_QUALITY, subsampling=0, comment=_MARK)

    def close(self) -> None:
        """Every picture is written when it is added."""


class VideoWriter:
    """A video of the frames with their detections.

    Args:
        path: An ``.mp4`` file; its folder must exist.
        rate: Frames a second.
        class_names: Name of each label.
    """

    def __init__(self, path: Path, rate: float, class_names: Sequence[str]) -> None:
        self._file = VideoFile(path, rate)
        self._class_names = class_names

    def add(self, detected: Detected) -> None:
        self._file.add(annotated(detected, self._class_names)[..., ::-1].copy())

    def close(self) -> None:
        self._file.close()


class JsonWriter:
    """A file of COCO results, written whole when it is closed.

    Args:
        path: The file; its folder is made where it is missing.
        to_rows: Makes the rows of all images.
    """

    def __init__(
        self, path: Path, to_rows: Callable[[list[InstanceData]], list[dict]]
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._to_rows = to_rows
        self._found: list[InstanceData] = []

    def add(self, detected: Detected) -> None:
        self._found.append(detected.instances)

    def close(self) -> None:
        rows = [json.dumps(row) for row in self._to_rows(self._found)]
        write_text_atomically(self._path, '[' + ',\n'.join(rows) + ']\n')


class CsvWriter:
    """A table with a line for each detection, written whole when it is closed.

    Args:
        path: The file; its folder is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._text = io.StringIO()
        self._table = csv.writer(self._text, lineterminator='\n')
        self._table.writerow(_COLUMNS)

    def add(self, detected: Detected) -> None:
        for item in to_dicts(detected.instances):
            box = [f'{x:.2f}' for x in item['bbox']]
            row = [item['name'], item['label'], f'{item["score"]:.4f}', *box]
            self._table.writerow([detected.name, *row])

    def close(self) -> None:
        write_text_atomically(self._path, self._text.getvalue())


def annotated(detected: Detected, class_names: Sequence[str]) -> np.ndarray:
    """The image with its detections, ``(z * H, z * W, 3)`` uint8 RGB."""
    image = np.ascontiguousarray(detected.image[..., ::-1]).astype(np.uint8)
    found = detected.instances
    return draw_detections(
        image,
        found.bboxes.numpy(),
        found.labels.numpy(),
        found.scores.numpy(),
        class_names,
    )
