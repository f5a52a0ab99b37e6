"""Boxes with their names on a photo."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

from .lettering import font
from .placement import Rectangle, place
from .sheets import side_by_side

Colour = tuple[int, int, int]

_READABLE = 640  # pixels: smaller pictures are enlarged towards this longer side
_MAX_ZOOM = 4
_GOLDEN_ANGLE = (3 - 5**0.5) / 2  # of a turn: hues stay apart however many there are
_FAR = 1e5  # pixels; no picture is larger
_DARK = (24, 24, 24)
_LIGHT = (255, 255, 255)


@dataclass(frozen=True)
class Mark:
    """A box to be drawn, in pixels, and what is written at it."""

    box: Rectangle
    colour: Colour
    text: str


def class_colour(label: int) -> Colour:
    """The colour of a class, the same in every picture; RGB, 0 to 255."""
    hue = (label * _GOLDEN_ANGLE) % 1
    # Every seventh class or so comes near a hue again: change the brightness too.
    saturation, value = ((0.85, 1.0), (0.6, 1.0), (0.9, 0.75))[label // 7 % 3]
    return _rgb(colorsys.hsv_to_rgb(hue, saturation, value))


def draw_detections(
    image: np.ndarray,
    boxes: ArrayLike,
    labels: ArrayLike,
    scores: ArrayLike | None = None,
    class_names: Sequence[str] = (),
    score_thr: float = 0.0,
) -> np.ndarray:
    """Draw boxes in the colours of their classes, each with its name and score.

    Small pictures are enlarged, by a whole number up to 4, so that names can
    be read. Names of classes may have Latin, Greek, Cyrillic, Arabic, Hebrew
    and many more letters, but not Chinese, Japanese or Korean ones.

    Args:
        image: ``(H, W, 3)`` uint8, RGB. It stays as it is.
        boxes: ``(N, 4)`` xyxy, in pixels of ``image``.
        labels: ``(N,)`` 0-based classes.
        scores: ``(N,)``, 0 to 1; none for ground truth.
        class_names: Name of each class; a class without one shows its number.
        score_thr: Boxes below this score are left out.

    Returns:
        ``(z * H, z * W, 3)`` uint8 RGB, ``z`` the enlargement.

    Raises:
        ValueError: ``image`` is not ``(H, W, 3)`` uint8, or there are not as
            many labels or scores as boxes.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f'image must be (H, W, 3) uint8, not {image.shape} {image.dtype}'
        )
    return draw_marks(image, _shown(boxes, labels, scores, class_names, score_thr))


def draw_marks(image: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
    """Draw boxes with any colours and names, the first above the others.

    Args:
        image: ``(H, W, 3)`` uint8 RGB. Small ones are enlarged.
        marks: Boxes in pixels of ``image``.

    Returns:
        ``(z * H, z * W, 3)`` uint8 RGB, ``z`` the enlargement.
    """
    zoom = _zoom(image.shape[:2])
    picture = Image.fromarray(image)
    if zoom > 1:
        size = (picture.width * zoom, picture.height * zoom)
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    _draw(picture, [_enlarged(mark, zoom) for mark in marks])
    return np.array(picture)


def draw_comparison(
    image: np.ndarray,
    truth: tuple[ArrayLike, ArrayLike],
    detections: tuple[ArrayLike, ArrayLike, ArrayLike],
    class_names: Sequence[str] = (),
    score_thr: float = 0.0,
) -> np.ndarray:
    """Ground truth at the left, detections at the right, a title above each.

    Args:
        image: ``(H, W, 3)`` uint8, RGB.
        truth: Boxes and labels, as :func:`draw_detections` takes them.
        detections: Boxes, labels and scores.
        class_names: Name of each class.
        score_thr: Detections below this score are left out.

    Returns:
        uint8 RGB, a little more than twice as wide as the picture.
    """
    left = draw_detections(image, *truth, class_names=class_names)
    right = draw_detections(image, *detections, class_names, score_thr)
    found = f'detections, score {score_thr:g} and above' if score_thr else 'detections'
    return side_by_side((left, right), ('ground truth', found))


def _shown(
    boxes: ArrayLike,
    labels: ArrayLike,
    scores: ArrayLike | None,
    class_names: Sequence[str],
    score_thr: float,
) -> list[Mark]:
    """What is drawn, the surest first."""
    corners = np.asarray(boxes, dtype=float).reshape(-1, 4)
    corners = corners.clip(-_FAR, _FAR)
    classes = np.asarray(labels, dtype=int).reshape(-1)
    points = None if scores is None else np.asarray(scores, dtype=float).reshape(-1)
    if len(classes) != len(corners) or (
        points is not None and len(points) != len(corners)
    ):
        raise ValueError(
            f'{len(corners)} boxes, {len(classes)} labels and '
            f'{"no" if points is None else len(points)} scores do not belong together'
        )
    order = np.arange(len(corners)) if points is None else np.argsort(-points)
    found = []
    for i in order:
        if (points is not None and points[i] < score_thr) or np.isnan(corners[i]).any():
            continue
        label = int(classes[i])
        named = 0 <= label < len(class_names)
        text = str(class_names[label]) if named else str(label)
        if points is not None:
            text = f'{text} {points[i]:.2f}'
        x1, y1, x2, y2 = corners[i].tolist()
        found.append(Mark((x1, y1, x2, y2), class_colour(label), text))
    return found


def _enlarged(mark: Mark, zoom: int) -> Mark:
    x1, y1, x2, y2 = (zoom * x for x in mark.box)
    return Mark((x1, y1, x2, y2), mark.colour, mark.text)


def _draw(picture: Image.Image, shown: Sequence[Mark]) -> None:
    """Boxes first, then names: a name is never crossed by a line."""
    pen = ImageDraw.Draw(picture)
    line = max(2, round(max(picture.size) / 400))
    # The surest box is drawn last, above the others.
    for item in reversed(shown):
        _outline(pen, item.box, item.colour, line)
    size = _text_size(picture.size, len(shown))
    letters = font(size)
    taken: list[Rectangle] = []
    for item in shown:
        width, height = (
            round(letters.getlength(item.text)) + size // 2,
            round(1.3 * size),
        )
        x, y = place((width, height), item.box, picture.size, taken, line)
        taken.append((x, y, x + width, y + height))
        pen.rectangle((x, y, x + width - 1, y + height - 1), item.colour)
        middle = (x + width / 2, y + height / 2)
        pen.text(middle, item.text, _ink(item.colour), letters, anchor='mm')


def _outline(
    pen: ImageDraw.ImageDraw, box: Rectangle, colour: Colour, line: int
) -> None:
    x1, y1, x2, y2 = (round(x) for x in box)
    x2, y2 = max(x1, x2 - 1), max(y1, y2 - 1)  # the last pixel inside the box
    pen.rectangle((x1, y1, x2, y2), outline=colour, width=line)


def _text_size(picture: tuple[int, int], count: int) -> int:
    """Letters of a crowd are smaller."""
    size = max(picture) / (50 if count <= 20 else 64)
    return max(11, round(size))


def _zoom(shape: tuple[int, ...]) -> int:
    return max(1, min(_MAX_ZOOM, round(_READABLE / max(shape))))


def _ink(colour: Colour) -> Colour:
    """Black or white, whichever is read better on ``colour``."""
    red, green, blue = colour
    bright = 0.299 * red + 0.587 * green + 0.114 * blue
    return _DARK if bright > 120 else _LIGHT


def _rgb(colour: tuple[float, float, float]) -> Colour:
    red, green, blue = (round(255 * x) for x in colour)
    return red, green, blue
