"""What ``--fix`` keeps is where it was annotated, in pixels of the file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from freeanchor.datasets.check import Source
from freeanchor.datasets.checks.mend import mended

from .checked_sets import assert_mends, checked, edited, only, sound
from .coco_files import box


def kept_by_fix(source: Source) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The mended copy, which passes the check, and the changes."""
    changes = assert_mends(source, Path(source.folder))
    content = json.loads((Path(source.folder) / 'mended.json').read_text())
    return content, changes


def boxes_of(content: dict, image_id: int) -> list[list[float]]:
    found = [x for x in content['annotations'] if x['image_id'] == image_id]
    return [x['bbox'] for x in found]


def annotated_at(width: float, height: float, bbox: list[float]) -> Any:
    """Annotate image 2, of 80 x 60 pixels, as if it had another size."""

    def edit(content: dict) -> None:
        content['images'][1].update(width=width, height=height)
        for annotation in content['annotations']:
            if annotation['image_id'] == 2:
                annotation.update(bbox=bbox, area=bbox[2] * bbox[3])

    return edit


@pytest.mark.parametrize(
    ('size', 'bbox', 'mended_box'),
    [
        ((40, 30), [10, 10, 20, 15], [20, 20, 40, 30]),
        ((160, 120), [10, 10, 140, 100], [5, 5, 70, 50]),
        # The shorter side was rounded: the ratios differ by 0.6 %.
        ((133, 100), [13.3, 10, 66.5, 50], [8, 6, 40, 30]),
    ],
)
def test_boxes_of_a_resized_image_are_scaled_with_it(tmp_path, size, bbox, mended_box):
    source = edited(tmp_path, annotated_at(*size, bbox))
    assert only(checked(source), 'scaled_size').image_id == 2
    content, changes = kept_by_fix(source)
    image = content['images'][1]
    assert (image['id'], image['width'], image['height']) == (2, 80, 60)
    kept = boxes_of(content, 2)
    assert len(kept) == 3
    np.testing.assert_allclose(kept, 3 * [mended_box])
    areas = [x['area'] for x in content['annotations'] if x['image_id'] == 2]
    assert areas == pytest.approx(3 * [mended_box[2] * mended_box[3]])
    assert boxes_of(content, 1) == 3 * [[5.5, 4, 20, 30]]
    assert any('boxes scaled by' in x['change'] for x in changes)


def test_a_box_of_a_resized_image_may_reach_over_the_edge_of_the_file(tmp_path):
    content, _ = kept_by_fix(edited(tmp_path, annotated_at(40, 30, [30.5, 10, 10, 15])))
    np.testing.assert_allclose(boxes_of(content, 2), 3 * [[61, 20, 19, 30]], atol=1)


def test_fractions_are_not_scaled_twice(tmp_path):
    def edit(content: dict) -> None:
        content['images'][1].update(width=40, height=30)
        for annotation in content['annotations']:
            annotation['bbox'] = [0.25, 0.25, 0.5, 0.5]

    content, _ = kept_by_fix(edited(tmp_path, edit))
    assert {tuple(x['bbox']) for x in content['annotations']} == {(20, 15, 40, 30)}


def test_the_boxes_of_a_copy_of_an_entry_are_scaled_by_its_own_size(tmp_path):
    def edit(content: dict) -> None:
        annotated_at(40, 30, [10, 10, 20, 15])(content)
        content['images'][1]['file_name'] = '1.png'

    content, _ = kept_by_fix(edited(tmp_path, edit))
    expected = 3 * [[5.5, 4, 20, 30]] + 3 * [[20, 20, 40, 30]]
    assert boxes_of(content, 1) == expected


@pytest.mark.parametrize('size', [(100, 50), (60, 60), (640, 360)])
def test_an_image_of_another_shape_is_dropped_with_its_boxes(tmp_path, size):
    content, changes = kept_by_fix(
        edited(tmp_path, annotated_at(*size, [5, 5, 20, 20]))
    )
    assert [x['id'] for x in content['images']] == [1, 3, 4]
    assert not boxes_of(content, 2)
    assert any(x['change'] == 'dropped from images' for x in changes)


def test_a_size_that_is_a_pixel_off_is_set_and_boxes_stay(tmp_path):
    source = edited(tmp_path, annotated_at(81, 60, [5, 5, 20, 20]))
    content, _ = kept_by_fix(source)
    assert content['images'][1]['width'] == 80
    assert boxes_of(content, 2) == 3 * [[5, 5, 20, 20]]


def test_outlines_that_are_no_longer_in_pixels_are_left_out_and_listed(tmp_path):
    def edit(content: dict) -> None:
        annotated_at(40, 30, [10, 10, 20, 15])(content)
        for annotation in content['annotations']:
            annotation['segmentation'] = [[10, 10, 30, 10, 30, 25]]

    content, changes = kept_by_fix(edited(tmp_path, edit))
    kept = {x['image_id'] for x in content['annotations'] if 'segmentation' in x}
    assert kept == {1, 3, 4}
    listed = [x for x in changes if 'segmentation' in x['change']]
    assert [x['entry']['image_id'] for x in listed] == [2, 2, 2]


@pytest.mark.parametrize('key', ['images', 'categories'])
def test_two_entries_that_share_an_id_are_both_dropped(tmp_path, key):
    field = 'image_id' if key == 'images' else 'category_id'

    def edit(content: dict) -> None:
        content[key][1]['id'] = content[key][0]['id']

    source = edited(tmp_path, edit)
    shared = json.loads(Path(source.ann_file).read_text())[key][0]['id']
    content, changes = kept_by_fix(source)
    assert shared not in {x['id'] for x in content[key]}
    assert content['annotations']
    assert shared not in {x[field] for x in content['annotations']}
    listed = [x['entry'] for x in changes if x['change'] == f'dropped from {key}']
    assert [x['id'] for x in listed] == [shared, shared]
    listed = [x for x in changes if x['change'] == 'dropped from annotations']
    assert sum(shared == x['entry'][field] for x in listed) == (
        3 if key == 'images' else 4
    )


@pytest.mark.parametrize('key', ['images', 'categories'])
def test_of_two_equal_entries_one_is_kept_with_all_annotations(tmp_path, key):
    source = edited(tmp_path, lambda x: x[key].append({**x[key][0], 'license': 2}))
    content, changes = kept_by_fix(source)
    assert len(content['annotations']) == 12
    assert len({x['id'] for x in content[key]}) == len(content[key])
    assert [x['change'] for x in changes] == [f'dropped from {key}']


CHANGED = [
    ([70, 40, 15, 9], [70, 40, 10, 9]),  # cut at the edge
    ([-5, 4, 15, 9], [0, 4, 10, 9]),
]


@pytest.mark.parametrize(('bbox', 'cut'), CHANGED)
@pytest.mark.parametrize('outline', [{}, dict(segmentation=[[70, 40, 85, 40, 85, 49]])])
def test_the_area_is_that_of_the_box_as_it_was_changed(tmp_path, bbox, cut, outline):
    source = sound(tmp_path, [box([5, 4, 20, 30]), box(bbox, **outline)])
    data, _ = mended(source, 'fast')
    first, changed = data['annotations']
    assert changed['bbox'] == cut
    assert changed['area'] == cut[2] * cut[3]
    assert first['area'] == 600


def test_the_area_of_fractions_is_not_kept(tmp_path):
    boxes = [box([0.25, 0.25, 0.5, 0.5], category=c) for c in (3, 8, 11)]
    del boxes[0]['area']
    data, _ = mended(sound(tmp_path, boxes), 'fast')
    assert [x.get('area') for x in data['annotations']] == [None, 1200, 1200]
