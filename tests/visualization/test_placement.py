"""Names stay inside the picture and off each other."""

import itertools

import pytest

from freeanchor.visualization.placement import place

SIZE = (60, 12)
PICTURE = (200, 100)


def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)


def test_a_name_stands_on_its_box():
    assert place(SIZE, (50, 40, 150, 90), PICTURE, [], line=2) == (50, 28)


def test_names_of_one_place_do_not_cover_each_other():
    box, taken = (50, 30, 150, 80), []
    for _ in range(8):
        x, y = place(SIZE, box, PICTURE, taken, line=2)
        taken.append((x, y, x + SIZE[0], y + SIZE[1]))
    assert all(overlap(a, b) == 0 for a, b in itertools.combinations(taken, 2))


@pytest.mark.parametrize(
    'box', [(-20, -20, 5, 5), (195, 95, 260, 160), (0, 0, 200, 100), (90, 0, 95, 99)]
)
def test_a_name_is_inside_the_picture(box):
    x, y = place(SIZE, box, PICTURE, [], line=2)
    assert 0 <= x <= PICTURE[0] - SIZE[0]
    assert 0 <= y <= PICTURE[1] - SIZE[1]


def test_a_name_larger_than_the_picture_begins_at_its_corner():
    assert place((400, 200), (50, 40, 90, 60), PICTURE, [], line=2) == (0, 0)


def test_where_no_place_is_free_the_least_covered_is_taken():
    taken = [(0, 0, 200, 88)] * 2
    _, y = place(SIZE, (50, 40, 150, 80), PICTURE, taken, line=2)
    assert y >= 80
