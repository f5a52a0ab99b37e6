"""What a person sees on a picture, pixel by pixel."""

import colorsys
import itertools

import numpy as np
import pytest

from freeanchor.visualization import class_colour, draw_comparison, draw_detections

GREY = np.full((480, 640, 3), 127, np.uint8)
BOX = [[100, 200, 300, 400]]


def is_colour(pixels: np.ndarray, label: int) -> bool:
    return bool((pixels == class_colour(label)).all())


def test_the_edges_of_a_box_have_the_colour_of_its_class():
    drawn = draw_detections(GREY, BOX, [3], [0.9])
    assert is_colour(drawn[200:400, 100:102], 3)
    assert is_colour(drawn[200:400, 298:300], 3)
    assert is_colour(drawn[200:202, 100:300], 3)
    assert is_colour(drawn[398:400, 100:300], 3)


def test_the_photo_shows_unchanged_within_and_around_a_box():
    noise = np.random.default_rng(0).integers(0, 256, GREY.shape, dtype=np.uint8)
    drawn = draw_detections(noise, BOX, [0], [0.9])
    np.testing.assert_array_equal(drawn[202:398, 102:298], noise[202:398, 102:298])
    np.testing.assert_array_equal(drawn[:150], noise[:150])
    np.testing.assert_array_equal(drawn[:, 300:], noise[:, 300:])
    np.testing.assert_array_equal(drawn[400:], noise[400:])


def test_without_detections_the_photo_is_returned():
    drawn = draw_detections(GREY, np.zeros((0, 4)), [], [])
    np.testing.assert_array_equal(drawn, GREY)


def test_the_photo_given_stays_as_it_is():
    image = GREY.copy()
    draw_detections(image, BOX, [0], [0.9])
    np.testing.assert_array_equal(image, GREY)


def test_detections_below_the_threshold_are_left_out():
    drawn = draw_detections(GREY, BOX * 2, [0, 1], [0.29, 0.3], score_thr=0.3)
    only = draw_detections(GREY, BOX, [1], [0.3])
    np.testing.assert_array_equal(drawn, only)


@pytest.mark.parametrize(('width', 'zoom'), [(128, 4), (192, 3), (320, 2), (640, 1)])
def test_small_pictures_are_enlarged_with_their_boxes(width, zoom):
    image = np.full((width // 2, width, 3), 127, np.uint8)
    drawn = draw_detections(image, [[20, 30, 60, 50]], [0], [0.9])
    assert drawn.shape == (zoom * width // 2, zoom * width, 3)
    assert is_colour(drawn[30 * zoom : 50 * zoom, 20 * zoom], 0)
    assert is_colour(drawn[30 * zoom : 50 * zoom, 60 * zoom - 1], 0)


def test_a_surer_box_lies_above_another():
    drawn = draw_detections(GREY, BOX * 2, [0, 1], [0.4, 0.8])
    assert is_colour(drawn[200:400, 100], 1)


@pytest.mark.parametrize('name', ['cell', 'Körper', 'клетка', 'κύτταρο'])
def test_names_are_written_with_letters_of_many_alphabets(name):
    named = draw_detections(GREY, BOX, [0], [0.9], [name])
    other = draw_detections(GREY, BOX, [0], [0.9], ['\uffff' * len(name)])
    assert (named != other).any()


def test_a_class_without_a_name_shows_its_number():
    for label in (7, -1):
        drawn = draw_detections(GREY, BOX, [label], class_names=['cell'])
        named = draw_detections(GREY, BOX, [label], class_names=[str(label)] * 8)
        np.testing.assert_array_equal(drawn, named)


@pytest.mark.parametrize('box', [[-50, -50, 20, 20], [600, 460, 900, 900], [9] * 4])
def test_a_box_at_or_over_the_border_has_its_whole_name_inside(box):
    def width_of_name(box: list[float]) -> int:
        drawn = draw_detections(GREY, [box], [2], [0.9], ['one', 'two', 'a long name'])
        coloured = (drawn == class_colour(2)).all(axis=2)
        return max(len(np.flatnonzero(row)) for row in coloured)

    # The first row of a name is its background alone.
    assert width_of_name(box) == width_of_name([300, 300, 310, 310]) > 60


def test_boxes_of_a_diverged_model_do_not_fail():
    boxes = [[float('nan')] * 4, [0, 0, float('inf'), 5], [-1e30, 0, 1e30, 9]]
    drawn = draw_detections(GREY, boxes, [0, 1, 2], [0.9, 0.8, float('nan')])
    assert drawn.shape == GREY.shape


def test_neighbouring_classes_differ_in_hue():
    hues = [
        colorsys.rgb_to_hsv(*(x / 255 for x in class_colour(i)))[0] for i in range(8)
    ]
    for a, b in itertools.combinations(hues, 2):
        assert min(abs(a - b), 1 - abs(a - b)) > 0.05


def test_eighty_classes_have_eighty_colours():
    assert len({class_colour(i) for i in range(80)}) == 80


def test_a_comparison_has_truth_left_and_detections_right():
    boxes = np.array(BOX)
    drawn = draw_comparison(
        GREY, (boxes, [1]), (boxes, [2], [0.2]), ['a', 'b', 'c'], score_thr=0.1
    )
    left, right = drawn[:, :640], drawn[:, -640:]
    assert is_colour(left[-480 + 300, 100:102], 1)
    assert is_colour(right[-480 + 300, 100:102], 2)
    assert (left[:-480] < 100).any(), 'a title stands above'


@pytest.mark.parametrize(
    'image',
    [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((3, 4, 4), np.uint8)],
)
def test_an_image_of_another_form_is_refused(image):
    with pytest.raises(ValueError, match=r'image must be \(H, W, 3\) uint8, not \('):
        draw_detections(image, [], [])


def test_labels_must_belong_to_the_boxes():
    with pytest.raises(ValueError, match='1 boxes, 2 labels and no scores'):
        draw_detections(GREY, BOX, [0, 1])
    with pytest.raises(ValueError, match='1 boxes, 1 labels and 2 scores'):
        draw_detections(GREY, BOX, [0], [0.1, 0.2])
