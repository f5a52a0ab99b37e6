"""Frames of a film or a camera as images, and annotated frames as a film."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from freeanchor.datasets.errors import BrokenImageError, DataError

from .sources import ImageSource

_SUFFIXES = 'avi m4v mkv mov mp4 mpeg mpg mts webm wmv'
VIDEO_SUFFIXES = frozenset(f'.{x}' for x in _SUFFIXES.split())
_USUAL_RATE = 25.0  # frames a second, where a camera or file does not tell
_CODEC = 'mp4v'  # OpenCV's own builds have no encoder for H.264


@dataclass(frozen=True)
class Video:
    """A film or camera that can be read.

    Args:
        name: The path, or ``camera N``.
        rate: Frames a second.
        num_frames: As the file says; None for a camera and where it does not.
    """

    name: str
    rate: float
    num_frames: int | None
    capture: cv2.VideoCapture

    def frames(self, most: int | None = None) -> Iterator[ImageSource]:
        """The frames in turn, ``NAME#1`` first; the capture is closed at the end.

        Args:
            most: Stop after so many.
        """
        try:
            for number in count(1) if most is None else range(1, most + 1):
                is_there, frame = self.capture.read()
                if not is_there:
                    return
                yield ImageSource(f'{self.name}#{number}', frame)
        finally:
            self.capture.release()


def open_video(source: str | Path | int) -> Video:
    """Open a file, or a camera by its number.

    Raises:
        FileNotFoundError: There is no such file.
        BrokenImageError: It cannot be read as a video.
    """
    is_camera = isinstance(source, int)
    name = f'camera {source}' if is_camera else str(source)
    if not is_camera and not Path(name).is_file():
        raise FileNotFoundError(f'there is no video {name}')
    capture = cv2.VideoCapture(source if isinstance(source, int) else name)
    if not capture.isOpened():
        reason = 'it cannot be opened as a video'
        raise BrokenImageError(f'{name}: {reason}', name, reason)
    rate = capture.get(cv2.CAP_PROP_FPS)
    frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    return Video(
        name,
        rate if math.isfinite(rate) and 0 < rate <= 1000 else _USUAL_RATE,
        int(frames) if not is_camera and frames > 0 else None,
        capture,
    )


class VideoFile:
    """An ``.mp4`` file that takes frames; its size is that of the first.

    Args:
        path: The file; its folder must exist.
        rate: Frames a second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path = path
        self._rate = rate
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def add(self, frame: np.ndarray) -> None:
        """Add ``(H, W, 3)`` uint8 BGR.

        Raises:
            DataError: OpenCV cannot write such a file here.
        """
        if self._writer is None:
            self._size = frame.shape[1], frame.shape[0]
            codec = cv2.VideoWriter.fourcc(*_CODEC)
            self._writer = cv2.VideoWriter(
                str(self.path), codec, self._rate, self._size
            )
            if not self._writer.isOpened():
                raise DataError(
                    f'{self.path} cannot be written: look whether the disk is full and '
                    'whether OpenCV has FFmpeg (opencv-python has)'
                )
        if (frame.shape[1], frame.shape[0]) != self._size:
            frame = cv2.resize(frame, self._size)
        self._writer.write(frame)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()
