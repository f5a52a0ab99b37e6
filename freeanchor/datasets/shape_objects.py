"""The objects of the generated set: one by one, and in groups.

Each function takes the dice and a point ``(2,)`` of the picture; sizes are in
pixels. The dice are ``numpy.random.RandomState``, whose stream is frozen, and of
it only ``randint`` and ``random_sample``, which need no logarithm.
"""

from collections.abc import Iterator

import numpy as np
from numpy import ndarray
from numpy.random import RandomState

from .shape_figures import (
    Figure,
    capsule,
    disc,
    rectangle,
    ring,
    triangle,
    turn,
    union,
)

CLASSES = ('rod', 'elbow', 'disc', 'ring', 'brick', 'triangle')


def between(rng: RandomState, low: float, high: float) -> float:
    return low + (high - low) * rng.random_sample()


def point(rng: RandomState, size: ndarray) -> ndarray:
    return rng.random_sample(2) * size


def direction(rng: RandomState) -> ndarray:
    """A unit vector, every angle as likely as any other."""
    while True:
        vector = 2 * rng.random_sample(2) - 1
        square = (vector * vector).sum()
        if 0.01 < square < 1:
            return vector / np.sqrt(square)


def _rod(rng: RandomState, centre: ndarray) -> Figure:
    half = _rod_direction(rng) * between(rng, 16, 48)
    return capsule(centre - half, centre + half, between(rng, 2.5, 4.5))


def _rod_direction(rng: RandomState) -> ndarray:
    """Any angle, or as often one near an axis, which makes a slender box."""
    if rng.randint(2):
        return direction(rng)
    lean = between(rng, -0.12, 0.12)
    vector = np.array([1, lean] if rng.randint(2) else [lean, 1])
    return vector / np.sqrt((vector * vector).sum())


def _elbow(rng: RandomState, corner: ndarray) -> Figure:
    """Two arms at a right angle: much of the box, its centre too, is empty."""
    along = direction(rng)
    radius = between(rng, 2.5, 4.5)
    one = corner + along * between(rng, 18, 44)
    other = corner + turn(along) * between(rng, 18, 44)
    return union(capsule(corner, one, radius), capsule(corner, other, radius))


def _disc(rng: RandomState, centre: ndarray) -> Figure:
    return disc(centre, between(rng, 8, 24))


def _ring(rng: RandomState, centre: ndarray) -> Figure:
    radius = between(rng, 10, 28)
    return ring(centre, radius, between(rng, 3, 4 + radius / 4))


def _brick(rng: RandomState, centre: ndarray) -> Figure:
    """A rectangle, from square to four times as long as wide."""
    long = between(rng, 10, 32)
    return rectangle(centre, direction(rng), long, long / between(rng, 1, 4))


def _triangle(rng: RandomState, centre: ndarray) -> Figure:
    height = direction(rng) * between(rng, 11, 32)
    return triangle(centre, height, width=between(rng, 0.4, 0.9))


# Groups: touching, stacked, crossing.


def _bundle_of_rods(rng: RandomState, centre: ndarray) -> Iterator[Figure]:
    along, radius = _rod_direction(rng), between(rng, 2.5, 4)
    length, step = between(rng, 18, 40), between(rng, 2.5, 5) * radius
    for i in range(rng.randint(3, 6)):
        middle = centre + turn(along) * step * i + along * between(rng, -8, 8)
        half = (along + turn(along) * between(rng, -0.12, 0.12)) * length
        yield capsule(middle - half, middle + half, radius)


def _nest_of_elbows(rng: RandomState, corner: ndarray) -> Iterator[Figure]:
    along, radius = direction(rng), between(rng, 2.5, 4)
    for i in range(rng.randint(2, 4)):
        at = corner + (along + turn(along)) * radius * 4 * i
        yield union(
            capsule(at, at + along * between(rng, 20, 40), radius),
            capsule(at, at + turn(along) * between(rng, 20, 40), radius),
        )


def _heap_of_discs(rng: RandomState, centre: ndarray) -> Iterator[Figure]:
    radius = between(rng, 8, 15)
    for _ in range(rng.randint(4, 10)):
        yield disc(centre, radius)
        grown = between(rng, 8, 15)
        centre = centre + direction(rng) * (radius + grown) * between(rng, 0.75, 1)
        radius = grown


def _chain_of_rings(rng: RandomState, centre: ndarray) -> Iterator[Figure]:
    radius, along = between(rng, 10, 18), direction(rng)
    for _ in range(rng.randint(3, 6)):
        yield ring(centre, radius, 4)
        along = along + 0.4 * direction(rng)
        centre = centre + along * radius * 1.3


def _wall_of_bricks(rng: RandomState, centre: ndarray) -> Iterator[Figure]:
    along = direction(rng)
    long, short = between(rng, 9, 17), between(rng, 6, 9)
    for row in range(rng.randint(2, 4)):
        for column in range(rng.randint(2, 4)):
            shift = along * long * (2 * column + row % 2) * 1.03
            at = centre + shift + turn(along) * short * row * 2.06
            yield rectangle(at, along, long, short)


def _flock_of_triangles(rng: RandomState, centre: ndarray) -> Iterator[Figure]:
    for _ in range(rng.randint(3, 6)):
        height = direction(rng) * between(rng, 12, 19)
        yield triangle(centre, height, width=between(rng, 0.5, 0.9))
        centre = centre + direction(rng) * between(rng, 18, 30)


# In the order of CLASSES.
SINGLES = (_rod, _elbow, _disc, _ring, _brick, _triangle)
GROUPS = (
    _bundle_of_rods,
    _nest_of_elbows,
    _heap_of_discs,
    _chain_of_rings,
    _wall_of_bricks,
    _flock_of_triangles,
)
