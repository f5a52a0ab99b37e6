"""A crop shows the same objects at the places where they are in it."""

import numpy as np
import pytest

from freeanchor.datasets import RandomCrop

BOXES = np.array([[10, 20, 40, 60], [80, 5, 95, 15], [0, 0, 100, 80]], np.float32)


def sample(boxes=BOXES):
    image = np.arange(80 * 100).reshape(80, 100, 1).repeat(3, axis=2)
    n = len(boxes)
    return dict(
        img=image,
        img_shape=image.shape[:2],
        gt_bboxes=boxes.copy(),
        gt_bboxes_labels=np.arange(n),
        gt_ignore_flags=np.zeros(n, dtype=bool),
    )


@pytest.mark.parametrize('seed', range(8))
def test_pixels_inside_a_box_stay_inside_it(seed):
    np.random.seed(seed)
    found = RandomCrop((64, 48), allow_negative_crop=True).transform(sample())
    assert found['img'].shape == (48, 64, 3)
    assert found['img_shape'] == (48, 64)
    top, left = divmod(int(found['img'][0, 0, 0]), 100)
    for box, label in zip(found['gt_bboxes'], found['gt_bboxes_labels']):
        x1, y1, x2, y2 = BOXES[label] - np.array([left, top, left, top])
        assert box.tolist() == [max(x1, 0), max(y1, 0), min(x2, 64), min(y2, 48)]
    assert len(found['gt_bboxes']) == len(found['gt_ignore_flags'])
    assert 2 in found['gt_bboxes_labels']


def test_an_image_smaller_than_the_window_stays_whole():
    found = RandomCrop((200, 200)).transform(sample())
    assert found['img'].shape == (80, 100, 3)
    np.testing.assert_array_equal(found['gt_bboxes'], BOXES)


@pytest.mark.parametrize('allowed', [True, False])
def test_a_window_without_objects_is_kept_only_where_allowed(allowed):
    np.random.seed(0)
    none = np.zeros((0, 4), np.float32)
    found = RandomCrop((10, 10), allow_negative_crop=allowed).transform(sample(none))
    assert (found is not None) is allowed


def test_a_size_that_is_none_is_refused():
    with pytest.raises(ValueError, match='width and height'):
        RandomCrop((0, 10))
