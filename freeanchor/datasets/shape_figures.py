"""Shapes of the plane and a canvas to paint them on, the same on every machine.

Only ``+ - * /`` and square roots of float64 are used, which IEEE 754 rounds in
one way; ``sin``, ``hypot``, matrix products and OpenCV's drawing promise less.

Legend: H, W height and width of the canvas; a point is an array (2,) of x, y.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy import ndarray
from numpy.random import RandomState

RIM_WIDTH, RIM_SHADE = 1.0, 0.55  # of the dark edge: pixels, share of brightness


@dataclass(frozen=True)
class Figure:
    """A shape in the plane: the points whose ``distance`` is not positive.

    Args:
        distance: Signed distance in pixels, negative inside, of the points with
            abscissas ``(1, W)`` and ordinates ``(H, 1)``; gives ``(H, W)``.
        hull: The box ``(4,)`` xyxy that just holds the shape.
    """

    distance: Callable[[ndarray, ndarray], ndarray]
    hull: ndarray


def capsule(start: ndarray, end: ndarray, radius: float) -> Figure:
    """All points within ``radius`` of a straight line."""
    along = end - start
    length = (along * along).sum()

    def distance(x: ndarray, y: ndarray) -> ndarray:
        dx, dy = x - start[0], y - start[1]
        t = ((dx * along[0] + dy * along[1]) / length).clip(0, 1)
        dx, dy = dx - t * along[0], dy - t * along[1]
        return np.sqrt(dx * dx + dy * dy) - radius

    return Figure(distance, _hull(np.stack([start, end]), radius))


def disc(centre: ndarray, radius: float) -> Figure:
    def distance(x: ndarray, y: ndarray) -> ndarray:
        dx, dy = x - centre[0], y - centre[1]
        return np.sqrt(dx * dx + dy * dy) - radius

    return Figure(distance, _hull(centre[None], radius))


def ring(centre: ndarray, radius: float, width: float) -> Figure:
    whole = disc(centre, radius)

    def distance(x: ndarray, y: ndarray) -> ndarray:
        return abs(whole.distance(x, y) + width / 2) - width / 2

    return Figure(distance, whole.hull)


def arc(centre: ndarray, radius: float, width: float, towards: ndarray) -> Figure:
    """The half of a ring that lies in the direction ``towards``."""
    whole = ring(centre, radius, width)

    def distance(x: ndarray, y: ndarray) -> ndarray:
        behind = (centre[0] - x) * towards[0] + (centre[1] - y) * towards[1]
        return np.maximum(whole.distance(x, y), behind)

    return Figure(distance, whole.hull)


def polygon(corners: ndarray) -> Figure:
    """A convex polygon; ``corners`` ``(N, 2)`` clockwise as seen on screen."""
    edges = np.roll(corners, -1, axis=0) - corners
    normals = np.stack([edges[:, 1], -edges[:, 0]], axis=1)
    normals = normals / np.sqrt((normals * normals).sum(axis=1, keepdims=True))

    def distance(x: ndarray, y: ndarray) -> ndarray:
        sides = [
            (x - c[0]) * n[0] + (y - c[1]) * n[1] for c, n in zip(corners, normals)
        ]
        return np.maximum.reduce(sides)

    return Figure(distance, _hull(corners, 0))


def rectangle(centre: ndarray, along: ndarray, long: float, short: float) -> Figure:
    """``long`` and ``short`` are half the sides; ``along`` points along the first."""
    a, b = along * long, turn(along) * short
    return polygon(centre + np.array([-a - b, a - b, a + b, b - a]))


def triangle(centre: ndarray, height: ndarray, width: float) -> Figure:
    """Two equal sides, the tip at ``centre + height``."""
    across = turn(height) * width
    base = -0.6 * height
    return polygon(centre + np.array([height, base + across, base - across]))


def turn(vector: ndarray) -> ndarray:
    """The vector turned by a right angle, clockwise as seen on screen."""
    return np.array([-vector[1], vector[0]])


def union(*figures: Figure) -> Figure:
    def distance(x: ndarray, y: ndarray) -> ndarray:
        return np.minimum.reduce([f.distance(x, y) for f in figures])

    hulls = np.stack([f.hull for f in figures])
    return Figure(
        distance, np.concatenate([hulls[:, :2].min(axis=0), hulls[:, 2:].max(axis=0)])
    )


def _hull(points: ndarray, radius: float) -> ndarray:
    return np.concatenate([points.min(axis=0) - radius, points.max(axis=0) + radius])


def smooth_noise(rng: RandomState, height: int, width: int, cell: int) -> ndarray:
    """``(H, W)``, 0 to 1: random on a grid of ``cell`` pixels, linear in between."""
    grid = rng.random_sample((height // cell + 2, width // cell + 2))
    return _interpolate(_interpolate(grid, height, cell).T, width, cell).T


def _interpolate(rows: ndarray, length: int, cell: int) -> ndarray:
    position = np.arange(length)
    whole, share = position // cell, (position % cell / cell)[:, None]
    return rows[whole] * (1 - share) + rows[whole + 1] * share


class Canvas:
    """A picture, and how much of each object painted on it is in sight.

    Args:
        background: ``(H, W, 3)`` float64, 0 to 255.
        min_seen: Share of an object's pixels that must stay in sight.
        min_area: Pixels of a new object that must lie on the canvas.
    """

    def __init__(self, background: ndarray, min_seen: float, min_area: int) -> None:
        self.pixels = background
        self.min_seen = min_seen
        self.min_area = min_area
        self.owner: ndarray = np.full(background.shape[:2], -1)  # (H, W): in front
        self.areas: list[int] = []  # pixels of each object, hidden ones included
        self.seen: list[int] = []  # those of them in sight

    def paint(self, figure: Figure, colour: ndarray) -> bool:
        """Paint what is not an object; False, and nothing done, if it hides one."""
        window, distance = self._rasterise(figure)
        return self._put(window, distance, colour, owner=-1)

    def paint_object(self, figure: Figure, colour: ndarray) -> bool:
        """Paint the next object; False, and nothing done, where it has no room.

        It has none if over a third of its box is off the canvas, or if it would
        hide too much of an object behind it.
        """
        window, distance = self._rasterise(figure)
        height, width = distance.shape
        extent = figure.hull[2:] - figure.hull[:2]
        area = int((distance <= 0).sum())
        if width * height < extent[0] * extent[1] / 1.5 or area < self.min_area:
            return False
        if not self._put(window, distance, colour, owner=len(self.areas)):
            return False
        self.areas.append(area)
        self.seen.append(area)
        return True

    def clip(self, hull: ndarray) -> ndarray:
        """The part of a box ``(4,)`` xyxy that is on the canvas."""
        height, width = self.owner.shape
        return hull.clip(0, [width, height, width, height])

    def _rasterise(self, figure: Figure) -> tuple[tuple[slice, slice], ndarray]:
        x1, y1, x2, y2 = self.clip(figure.hull + [-1, -1, 1, 1])
        rows, columns = slice(int(y1), int(y2) + 1), slice(int(x1), int(x2) + 1)
        height, width = self.owner.shape
        # The centre of pixel (0, 0) is the point (0.5, 0.5), as in COCO.
        y = np.arange(height)[rows, None] + 0.5
        x = np.arange(width)[None, columns] + 0.5
        return (rows, columns), figure.distance(x, y)

    def _put(
        self,
        window: tuple[slice, slice],
        distance: ndarray,
        colour: ndarray,
        owner: int,
    ) -> bool:
        inside = distance <= 0
        hidden = self.owner[window][inside]
        loss = np.bincount(hidden[hidden >= 0], minlength=len(self.seen))
        seen = np.array(self.seen, dtype=int) - loss
        if (seen < self.min_seen * np.array(self.areas)).any():
            return False
        self.seen = seen.tolist()
        self.owner[window][inside] = owner
        opacity = (0.5 - distance).clip(0, 1)[..., None]
        shade = np.where(distance > -RIM_WIDTH, RIM_SHADE, 1)[..., None]
        behind = self.pixels[window]
        self.pixels[window] = behind + opacity * (colour * shade - behind)
        return True
