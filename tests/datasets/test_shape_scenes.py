import numpy as np
import pytest
from numpy.random import RandomState

from freeanchor.datasets.shape_objects import CLASSES, GROUPS, SINGLES
from freeanchor.datasets.shape_scenes import MIN_AREA, MIN_SEEN, SIZES, draw_scene

SCENES = [draw_scene(RandomState([3, i])) for i in range(40)]


def test_a_scene_depends_on_the_dice_alone():
    (one, objects), (again, same) = (draw_scene(RandomState(5)) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert [x.box.tolist() for x in objects] == [x.box.tolist() for x in same]


def test_pictures_have_one_of_the_two_sizes():
    assert {picture.shape[1::-1] for picture, _ in SCENES} == set(SIZES)


def test_enough_of_every_object_is_in_sight():
    for _, objects in SCENES:
        assert all(drawn.area >= MIN_SEEN * MIN_AREA for drawn in objects)


@pytest.mark.parametrize('label', range(len(CLASSES)), ids=CLASSES)
def test_each_class_has_singles_and_groups_whose_members_differ(label):
    middle = np.array([60.0, 50.0])
    single = SINGLES[label](RandomState(0), middle)
    assert (single.hull[2:] > single.hull[:2]).all()
    group = list(GROUPS[label](RandomState(0), middle))
    assert len({tuple(figure.hull) for figure in group}) == len(group) >= 2
