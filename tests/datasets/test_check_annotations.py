"""Each fault of annotations, one at a time, in a set that is sound else."""

import json
from pathlib import Path
from typing import Any

import pytest

from freeanchor.datasets.check import Source
from freeanchor.datasets.checks.table import as_table

from .checked_sets import (
    BOXES,
    assert_mends,
    checked,
    codes,
    edited,
    only,
    sound,
)
from .coco_files import box

ANNOTATION_FAULTS = [
    (dict(bbox=[5, 5, 0, 9]), 'zero_box'),
    (dict(bbox=[5, 5, -4, 9]), 'zero_box'),
    (dict(bbox=[5, 5, 0.5, 9]), 'thin_box'),
    (dict(bbox=[5, 5, float('nan'), 9]), 'malformed_box'),
    (dict(bbox=[5, 5, float('inf'), 9]), 'malformed_box'),
    (dict(bbox=[5, 5, float('-inf'), 9]), 'malformed_box'),
    (dict(bbox=['5', '5', '9', '9']), 'malformed_box'),
    (dict(bbox=[5, 5, 9]), 'malformed_box'),
    (dict(bbox=None), 'malformed_box'),
    (dict(bbox={}), 'malformed_box'),
    (dict(bbox=[90, 5, 9, 9]), 'outside_box'),
    (dict(bbox=[5, -20, 9, 9]), 'outside_box'),
    (dict(bbox=[70, 40, 15, 9]), 'partly_outside'),
    (dict(bbox=[5, 5, 1e30, 9]), 'partly_outside'),
    (dict(area=0), 'zero_area'),
    (dict(area=-3.0), 'zero_area'),
    (dict(area=float('nan')), 'malformed_area'),
    (dict(area='9'), 'malformed_area'),
    (dict(iscrowd='0'), 'malformed_flag'),
    (dict(ignore=7), 'malformed_flag'),
    (dict(category_id=99), 'unknown_category'),
    (dict(category_id=None), 'unknown_category'),
    (dict(image_id=99), 'unknown_image'),
    (dict(image_id='1'), 'unknown_image'),
    (dict(image_id=[1]), 'unknown_image'),
    (dict(category_id=11), 'duplicate_box'),
]


@pytest.mark.parametrize(('fault', 'code'), ANNOTATION_FAULTS, ids=str)
def test_an_annotation_with_a_fault_is_named_and_mended(tmp_path, fault, code):
    boxes = [*BOXES[:-2], {**BOXES[-2], **fault}, BOXES[-1]]
    report = checked(sound(tmp_path, boxes))
    found = only(report, code)
    expected = 111 if code == 'duplicate_box' else 110
    assert found.annotation_id == expected
    assert found.mend
    assert f'annotation {expected}' in as_table(report)
    assert_mends(Source('train', found.file, str(tmp_path)), tmp_path)


def test_crowds_missing_areas_and_odd_ids_are_no_faults(tmp_path):
    def edit(content: dict) -> None:
        content['annotations'][0]['iscrowd'] = 1
        del content['annotations'][1]['area']
        for image in content['images']:
            image['id'] = f'image {image["id"]}'
        for annotation in content['annotations']:
            annotation['image_id'] = f'image {annotation["image_id"]}'

    assert not checked(edited(tmp_path, edit)).counts


def set_all(content: dict, make: Any) -> None:
    for annotation in content['annotations']:
        annotation['bbox'] = make(*annotation['bbox'])


def test_corners_written_as_sizes_are_an_error(tmp_path):
    def edit(content: dict) -> None:
        set_all(content, lambda x, y, w, h: [45 + x, 20 + y, 60 + x + w, 20 + y + h])
        for i, annotation in enumerate(content['annotations']):
            annotation['bbox'] = [45 + i, 21, 60 + i, 50]

    source = edited(tmp_path, edit)
    assert only(checked(source), 'corners').severity == 'error'
    assert_mends(source, tmp_path)
    first = json.loads((tmp_path / 'mended.json').read_text())['annotations'][0]
    assert first['bbox'] == [45, 21, 15, 29]


def test_fractions_of_the_image_are_an_error(tmp_path):
    source = edited(
        tmp_path,
        lambda content: set_all(
            content, lambda x, y, w, h: [x / 80, y / 60, w / 80, h / 60]
        ),
    )
    assert only(checked(source), 'normalised').severity == 'error'
    assert_mends(source, tmp_path)
    first = json.loads((tmp_path / 'mended.json').read_text())['annotations'][0]
    assert first['bbox'] == pytest.approx([5.5, 4, 20, 30])


def test_category_ids_that_are_all_one_too_low_are_seen_through(tmp_path):
    names = [dict(id=i, name=x) for i, x in ((1, 'cup'), (2, 'tree'))]
    boxes = [box([5.5, 4, 20, 30], image=i, category=i % 2) for i in (1, 2, 3, 4)]
    source = sound(tmp_path, boxes, categories=names)
    assert 'one too low' in only(checked(source), 'shifted_categories').text
    assert_mends(source, tmp_path)
    kept = json.loads((tmp_path / 'mended.json').read_text())['annotations']
    assert [x['category_id'] for x in kept] == [2, 1, 2, 1]


def with_useless(folder: Path, share: float, total: int) -> Source:
    """A set of which some boxes, all different, have no width."""
    count = round(share * total)
    used = [box([5 + i / 1000, 4, 20, 30]) for i in range(total - count)]
    return sound(folder, used + [box([5 + i / 1000, 5, 0, 9]) for i in range(count)])


def test_more_useless_boxes_than_slips_of_the_hand_are_an_error(tmp_path):
    source = with_useless(tmp_path, share=0.011, total=2000)
    found = only(checked(source), 'many_dropped')
    assert found.severity == 'error'
    assert '1.1% of 2000 boxes' in found.text
    assert '--fix' in found.mend
    assert_mends(source, tmp_path)


@pytest.mark.parametrize(('share', 'total'), [(0.01, 2000), (0.1, 100)])
def test_a_few_useless_boxes_are_no_error(tmp_path, share, total):
    report = checked(with_useless(tmp_path, share, total))
    assert codes(report)['zero_box'] == round(share * total)
    assert not report.errors


def test_where_most_boxes_are_useless_the_format_is_wrong(tmp_path):
    report = checked(with_useless(tmp_path, share=0.6, total=10))
    assert only(report, 'most_dropped').severity == 'error'
