"""pycocotools and its compiled twin give the same numbers, bit for bit."""

import numpy as np
import pytest

from freeanchor.evaluation import coco_backends
from freeanchor.evaluation.coco_backends import (
    Annotations,
    by_faster_coco_eval,
    by_pycocotools,
    checked_backend,
)

NUM_IMAGES, NUM_CATEGORIES = 12, 5


def annotations(rng: np.random.RandomState, boxes: np.ndarray, **more) -> list[dict]:
    return [
        dict(
            image_id=int(rng.randint(NUM_IMAGES)) + 1,
            category_id=int(rng.randint(NUM_CATEGORIES)) + 1,
            bbox=box,
            area=box[2] * box[3],
            **{key: value(rng) for key, value in more.items()},
        )
        for box in boxes.tolist()
    ]


def both(truth: list[dict], found: list[dict]) -> list[coco_backends.Curves]:
    pytest.importorskip('faster_coco_eval')
    curves = []
    for backend in (by_pycocotools, by_faster_coco_eval):
        tables = [
            Annotations([dict(x) for x in part], NUM_IMAGES, NUM_CATEGORIES)
            for part in (truth, found)
        ]
        curves.append(backend(*tables))
    return curves


def assert_equal(truth: list[dict], found: list[dict]) -> None:
    reference, faster = both(truth, found)
    np.testing.assert_array_equal(faster.precision, reference.precision)
    np.testing.assert_array_equal(faster.recall, reference.recall)


def scene(seed: int, num_objects: int, grid: int) -> tuple[list[dict], list[dict]]:
    """Objects of all sizes, crowds, and detections near them with equal scores."""
    rng = np.random.RandomState(seed)
    boxes = np.exp(rng.uniform(1.5, 5.5, (num_objects, 4))).round()
    truth = annotations(rng, boxes, iscrowd=lambda r: int(r.rand() < 0.1))
    found = []
    for _ in range(4):
        near = [dict(x) for x in truth]
        for x in near:
            x['bbox'] = (np.array(x['bbox']) * rng.uniform(0.7, 1.3, 4)).tolist()
            x['area'] = x['bbox'][2] * x['bbox'][3]
            x['score'] = float(rng.randint(1, grid + 1)) / grid
            x['iscrowd'] = 0
        found += near
    return truth, found


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('num_objects', [1, 2, 3, 30, 700])
@pytest.mark.parametrize('grid', [3, 1000])
def test_precision_and_recall_are_equal(seed, num_objects, grid):
    assert_equal(*scene(seed, num_objects, grid))


@pytest.mark.parametrize('num_objects', [1, 2, 3, 4, 5, 8, 64, 100, 129])
@pytest.mark.parametrize('right', ['1', '11', '10', '101', '110', '1101', '01', '011'])
def test_the_first_detections_are_told_apart(num_objects, right):
    """Only one right detection is a precision just below 1, two are exactly 1."""
    truth = [
        dict(image_id=1, category_id=1, bbox=[40.0 * i, 0.0, 20.0, 20.0], area=400.0)
        for i in range(num_objects)
    ]
    found = []
    for i, hit in enumerate(right):
        y = 0.0 if hit == '1' else 500.0
        box = [40.0 * i, y, 20.0, 20.0]
        found.append(
            dict(image_id=1, category_id=1, bbox=box, area=400.0, score=0.9 - 0.1 * i)
        )
    for x in (*truth, *found):
        x['iscrowd'] = 0
    assert_equal(truth, found)


def test_no_detection_at_all_is_equal():
    truth, _ = scene(0, 5, 3)
    assert_equal(truth, [])


def test_nothing_to_find_is_equal():
    _, found = scene(0, 5, 3)
    assert_equal([], found)


def test_an_unknown_backend_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'fast'; valid are pycocotools, faster_coco"):
        checked_backend('fast')


@pytest.mark.parametrize(
    ('version', 'state'),
    [(None, 'not installed'), ((1, 6), 'is another'), ((2, 0), 'is another')],
)
def test_a_missing_backend_is_an_error_with_the_way_out(monkeypatch, version, state):
    monkeypatch.setattr(coco_backends, '_faster_version', lambda: version)
    with pytest.raises(ValueError, match=rf'{state}.*pip install.*or leave backend'):
        checked_backend('faster_coco_eval')
    assert checked_backend(None) == 'pycocotools'


def test_the_fastest_installed_backend_is_the_default():
    pytest.importorskip('faster_coco_eval')
    assert checked_backend(None) == 'faster_coco_eval'
