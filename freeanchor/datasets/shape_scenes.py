"""Scenes of the generated set: what is in a picture, and where."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy import ndarray
from numpy.random import RandomState

from .shape_figures import (
    Canvas,
    Figure,
    arc,
    capsule,
    disc,
    polygon,
    smooth_noise,
    turn,
    union,
)
from .shape_objects import CLASSES, GROUPS, SINGLES, between, direction, point

SIZES = ((128, 96), (96, 128))  # (W, H), landscape and portrait
PALETTE = np.array(  # BGR, in the order of CLASSES
    [
        [60, 205, 230],
        [220, 130, 60],
        [60, 60, 215],
        [90, 190, 70],
        [60, 130, 200],
        [200, 80, 190],
    ],
    dtype=float,
)
MIN_SEEN = 0.4
MIN_AREA = 48


@dataclass(frozen=True)
class Drawn:
    """An object of a scene: box ``(4,)`` xyxy in pixels, area in sight."""

    label: int
    box: ndarray
    area: int
    crowd: bool = False


def draw_scene(rng: RandomState) -> tuple[ndarray, list[Drawn]]:
    """Draw one picture.

    Returns:
        ``(H, W, 3)`` uint8 picture (BGR), and its objects in painting order.
    """
    width, height = SIZES[rng.randint(2)]
    size = np.array([width, height])
    canvas = Canvas(_background(rng, height, width), MIN_SEEN, MIN_AREA)
    for _ in range(rng.randint(2, 6)):
        canvas.paint(_distractor(rng, size), _any_colour(rng))

    crowds, figures, labels = [], [], []
    if rng.randint(16):  # else a picture without objects
        if not rng.randint(12):
            crowds.append(_paint_gravel(rng, canvas, size))
        for label, figure, colour in _objects(rng, size):
            if canvas.paint_object(figure, colour):
                figures.append(figure)
                labels.append(label)
    for _ in range(rng.randint(0, 3)):
        canvas.paint(_stroke(rng, size), _any_colour(rng))

    drawn = [
        Drawn(label, canvas.clip(figure.hull), area)
        for label, figure, area in zip(labels, figures, canvas.seen)
    ]
    return (canvas.pixels + 0.5).clip(0, 255).astype(np.uint8), drawn + crowds


def _objects(rng: RandomState, size: ndarray) -> Iterator[tuple[int, Figure, ndarray]]:
    """Groups of one kind and colour, and single objects, in random order."""
    for _ in range(rng.randint(2, 5)):
        # The first class, the rod, is drawn twice as often as each other one.
        label = max(rng.randint(-1, len(CLASSES)), 0)
        colour = _colour(rng, label)
        if rng.randint(2):
            yield label, SINGLES[label](rng, point(rng, size)), colour
            continue
        for figure in GROUPS[label](rng, point(rng, size)):
            yield label, figure, (colour + rng.randint(-12, 13, 3)).clip(0, 255)


# What is not an object.


def _distractor(rng: RandomState, size: ndarray) -> Figure:
    centre, radius = point(rng, size), between(rng, 10, 20)
    kind = rng.randint(4)
    if kind == 0:
        return arc(centre, radius, between(rng, 2.5, 6), direction(rng))
    if kind == 1:  # a cross
        along = direction(rng) * radius
        thick = between(rng, 2, 4)
        return union(
            capsule(centre - along, centre + along, thick),
            capsule(centre - turn(along), centre + turn(along), thick),
        )
    if kind == 2:  # a hexagon
        along = direction(rng) * radius
        one, other = 0.5 * along, 0.866 * turn(along)
        half = [along, one + other, other - one]
        return polygon(centre + np.array(half + [-corner for corner in half]))
    return _stroke(rng, size)


def _stroke(rng: RandomState, size: ndarray) -> Figure:
    """A thin bent line."""
    points = [point(rng, size)]
    for _ in range(rng.randint(2, 5)):
        points.append(points[-1] + direction(rng) * between(rng, 10, 40))
    radius = between(rng, 0.5, 1.2)
    return union(*[capsule(p, q, radius) for p, q in pairwise(points)])


def _paint_gravel(rng: RandomState, canvas: Canvas, size: ndarray) -> Drawn:
    """Tiny discs, too many to box one by one: a crowd region."""
    corner = point(rng, size - 32)
    colour = _any_colour(rng)
    stones = [
        disc(corner + point(rng, np.array([32, 32])), between(rng, 1.5, 2.5))
        for _ in range(rng.randint(14, 24))
    ]
    for stone in stones:
        canvas.paint(stone, colour)
    box = canvas.clip(union(*stones).hull)
    area = int((box[2] - box[0]) * (box[3] - box[1]))
    return Drawn(CLASSES.index('disc'), box, area, crowd=True)


def _background(rng: RandomState, height: int, width: int) -> ndarray:
    """``(H, W, 3)``: two colours mixed by smooth noise, coarse and fine."""
    dark, bright = [rng.randint(30, 170) + rng.randint(-25, 26, 3) for _ in range(2)]
    mix = 0.65 * smooth_noise(rng, height, width, 40) + 0.35 * smooth_noise(
        rng, height, width, 7
    )
    return dark + (bright - dark) * mix[..., None]


def _colour(rng: RandomState, label: int) -> ndarray:
    """Near the colour of a class; distractors share them, so shape decides."""
    return (PALETTE[label] + rng.randint(-40, 41, 3)).clip(0, 255)


def _any_colour(rng: RandomState) -> ndarray:
    return _colour(rng, rng.randint(len(CLASSES)))
