import numpy as np
import pytest

from freeanchor.datasets import LegacyBoxes

from ..boxes import legacy


@pytest.mark.parametrize('scale', [(1.0, 1.0), (1.6, 1.5), (0.5, 0.25)])
def test_boxes_end_where_maskrcnn_benchmark_has_them_end(scale):
    box = (10.0, 20.0, 40.5, 21.0)  # by edges, before it was resized
    resized = np.array([box], np.float64) * np.tile(scale, 2)
    results = dict(gt_bboxes=resized, scale_factor=scale)
    theirs = legacy.from_legacy(legacy.resize(legacy.to_legacy(box), scale))
    found = LegacyBoxes()(results)['gt_bboxes']
    np.testing.assert_allclose(found, [theirs])


def test_images_without_annotations_pass():
    assert LegacyBoxes()(dict(scale_factor=(2.0, 2.0))) == dict(scale_factor=(2.0, 2.0))


def test_images_without_objects_pass():
    results = dict(gt_bboxes=np.zeros((0, 4)), scale_factor=(2.0, 2.0))
    assert LegacyBoxes()(results)['gt_bboxes'].shape == (0, 4)
