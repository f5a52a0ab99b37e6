import numpy as np
import pytest

from freeanchor.datasets.shape_figures import (
    Canvas,
    arc,
    capsule,
    disc,
    polygon,
    rectangle,
    ring,
    triangle,
    turn,
    union,
)

RIGHT = np.array([1.0, 0.0])
DIAGONAL = np.array([0.6, 0.8])
MIDDLE = np.array([50.0, 40.0])
WHITE = np.array([255.0, 255.0, 255.0])
FIGURES = {
    'capsule': capsule(MIDDLE, MIDDLE + 20 * DIAGONAL, 3),
    'disc': disc(MIDDLE, 12),
    'ring': ring(MIDDLE, 12, 4),
    'rectangle': rectangle(MIDDLE, DIAGONAL, 20, 6),
    'triangle': triangle(MIDDLE, 20 * DIAGONAL, 0.7),
    'square': polygon(MIDDLE + [[0, 0], [9, 0], [9, 9], [0, 9]]),
    'union': union(disc(MIDDLE, 5), capsule(MIDDLE, MIDDLE + 20 * RIGHT, 2)),
}


def _canvas() -> Canvas:
    return Canvas(np.zeros((80, 100, 3)), min_seen=0.4, min_area=24)


def _inside(figure) -> np.ndarray:
    x, y = np.arange(0.125, 100, 0.25)[None], np.arange(0.125, 80, 0.25)[:, None]
    return figure.distance(x, y) <= 0


@pytest.mark.parametrize('name', FIGURES)
def test_the_hull_just_holds_the_figure(name):
    rows, columns = np.nonzero(_inside(FIGURES[name]))
    extent = [columns.min(), rows.min(), columns.max(), rows.max()]
    np.testing.assert_allclose(np.array(extent) / 4, FIGURES[name].hull, atol=0.5)


@pytest.mark.parametrize(
    ('name', 'area'),
    [
        ('capsule', 20 * 6 + np.pi * 9),
        ('disc', np.pi * 144),
        ('ring', np.pi * (144 - 64)),
        ('rectangle', 40 * 12),
        ('square', 81),
    ],
)
def test_figures_have_the_area_of_their_formula(name, area):
    assert _inside(FIGURES[name]).sum() / 16 == pytest.approx(area, rel=0.05)


def test_an_arc_is_the_half_of_a_ring_that_it_opens_towards():
    whole, half = _inside(ring(MIDDLE, 12, 4)), _inside(arc(MIDDLE, 12, 4, RIGHT))
    assert half.sum() / whole.sum() == pytest.approx(0.5, abs=0.02)
    assert np.nonzero(half)[1].min() >= 4 * MIDDLE[0]


def test_turn_goes_clockwise_as_seen_on_screen():
    np.testing.assert_array_equal(turn(RIGHT), [0, 1])


def test_painted_pixels_lie_in_the_hull():
    canvas = _canvas()
    assert canvas.paint_object(disc(MIDDLE, 12), WHITE)
    rows, columns = np.nonzero(canvas.pixels[..., 0] > 64)
    assert columns.min() == 38
    assert columns.max() == 61
    assert rows.min() == 28
    assert rows.max() == 51


def test_an_object_in_front_takes_pixels_from_the_one_behind():
    canvas = _canvas()
    canvas.paint_object(rectangle(MIDDLE, RIGHT, 20, 10), WHITE)
    canvas.paint_object(rectangle(MIDDLE, RIGHT, 5, 5), WHITE)
    assert canvas.areas == [800, 100]
    assert canvas.seen == [700, 100]


@pytest.mark.parametrize('paint', ['paint', 'paint_object'])
def test_nothing_is_painted_that_would_hide_an_object(paint):
    canvas = _canvas()
    canvas.paint_object(disc(MIDDLE, 10), WHITE)
    before = canvas.pixels.copy(), list(canvas.seen)
    assert not getattr(canvas, paint)(disc(MIDDLE, 9), WHITE / 2)
    np.testing.assert_array_equal(canvas.pixels, before[0])
    assert canvas.seen == before[1]


def test_an_object_mostly_off_the_canvas_is_not_painted():
    canvas = _canvas()
    assert not canvas.paint_object(disc(np.array([-5.0, 40.0]), 12), WHITE)
    assert not canvas.paint_object(disc(np.array([500.0, 40.0]), 12), WHITE)
    assert canvas.paint_object(disc(np.array([6.0, 40.0]), 12), WHITE)
    np.testing.assert_array_equal(canvas.clip(disc(MIDDLE - [44, 0], 12).hull)[0], 0)


def test_a_speck_is_no_object():
    assert not _canvas().paint_object(disc(MIDDLE, 2), WHITE)
