"""Every fault that the doctor knows, one at a time, in a set that is sound else."""

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from freeanchor.datasets import CocoDataset, DataError, check
from freeanchor.datasets.check import Source, check_before_training, check_sources
from freeanchor.datasets.checks.findings import EXAMPLES, Finding, Report
from freeanchor.datasets.checks.mend import mended
from freeanchor.datasets.checks.table import as_table

from .coco_files import box, write
from .pictures import bomb, encoded, with_orientation

SIZES = [(80, 60)] * 4
BOXES = [
    box([5.5, 4, 20, 30], image=i, category=c) for i in (1, 2, 3, 4) for c in (3, 8, 11)
]


def sound(folder: Path, boxes: list[dict] | None = None, **replaced: Any) -> Source:
    """Four images that differ, with three boxes each."""
    files = write(folder, BOXES if boxes is None else boxes, SIZES, **replaced)
    return Source('train', str(folder / files['ann_file']), str(folder))


def edited(folder: Path, edit: Any) -> Source:
    """A sound set, with its content changed by ``edit``."""
    source = sound(folder)
    path = Path(source.ann_file)
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return source


def codes(report: Report) -> dict[str, int]:
    return {first.code: count for count, first in report.kinds()}


def checked(source: Source, level: str = 'fast') -> Report:
    return check_sources([source], level, workers=1)


def only(report: Report, code: str) -> Finding:
    """The first finding of a kind."""
    assert code in codes(report), codes(report)
    return next(x for x in report.findings if x.code == code)


def test_a_sound_set_has_no_finding(tmp_path):
    for level in ('fast', 'full'):
        report = checked(sound(tmp_path), level)
        assert not report.counts, as_table(report)
        (summary,) = report.sets
        assert (summary.images, summary.files_seen, summary.boxes) == (4, 4, 12)
        assert summary.objects == dict(cup=4, tree=4, boat=4)


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


def assert_mends(source: Source, folder: Path, level: str = 'fast') -> list[dict]:
    """The mended copy passes the check; what was changed."""
    data, changes = mended(source, level, workers=1)
    path = folder / 'mended.json'
    path.write_text(json.dumps(data))
    report = checked(source.of_file(str(path)), level)
    assert not report.errors, as_table(report)
    assert changes
    assert json.dumps(changes)
    return changes


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


def test_many_useless_boxes_are_a_warning_and_most_an_error(tmp_path):
    useless = [box([5, 5, 0, 9], image=i) for i in (1, 2, 3, 4) for _ in range(4)]
    assert 'many_dropped' in codes(checked(sound(tmp_path / 'a', BOXES + useless[:1])))
    report = checked(sound(tmp_path / 'b', BOXES + useless))
    assert only(report, 'most_dropped').severity == 'error'


ENTRY_FAULTS = [
    ('images', 1, dict(id=1), 'duplicate_id'),
    ('images', 1, dict(id=None), 'no_id'),
    ('annotations', 1, dict(id=100), 'duplicate_id'),
    ('annotations', 1, dict(id=1.5), 'no_id'),
    ('categories', 1, dict(id=3), 'duplicate_id'),
    ('categories', 1, dict(name=None), 'no_name'),
    ('categories', 1, dict(name='cup'), 'twin_categories'),
    ('images', 1, dict(file_name=None), 'no_file_name'),
    ('images', 1, dict(file_name='/etc/passwd'), 'outside_folder'),
    ('images', 1, dict(file_name='../2.png'), 'outside_folder'),
    ('images', 1, dict(file_name='a\0b'), 'file_name'),
    ('images', 1, dict(file_name='absent.png'), 'missing_image'),
    ('images', 1, dict(file_name='1.png'), 'duplicate_file'),
    ('images', 1, dict(width=None), 'no_size'),
    ('images', 1, dict(width=0), 'no_size'),
    ('images', 1, dict(height='60'), 'no_size'),
    ('images', 1, dict(width=60, height=80), 'swapped_size'),
    ('images', 1, dict(width=800, height=600), 'scaled_size'),
    ('images', 1, dict(width=81, height=60), 'wrong_size'),
]


@pytest.mark.parametrize(('key', 'place', 'fault', 'code'), ENTRY_FAULTS, ids=str)
def test_an_entry_with_a_fault_is_named_and_mended(tmp_path, key, place, fault, code):
    source = edited(tmp_path, lambda content: content[key][place].update(fault))
    found = only(checked(source), code)
    if key == 'images' and code not in ('duplicate_id', 'no_id'):
        assert found.image_id == 2
    assert found.file == source.ann_file
    assert found.mend
    assert_mends(source, tmp_path)


FILE_FAULTS = [
    (b'', 'undecodable_image'),
    (b'<html>gone</html>', 'undecodable_image'),
    (encoded('png')[:40], 'cut_image'),
    (encoded('png')[:-8], 'cut_image'),
    (encoded('jpg')[:-2], 'cut_image'),
    (encoded('jpg')[:-300], 'cut_image'),
    (bomb(), 'too_large'),
    (encoded('png', 60, 80), 'swapped_size'),
    (with_orientation(encoded('jpg'), 6), 'rotated'),
    (with_orientation(encoded('jpg'), 3), 'turned'),
]


@pytest.mark.parametrize('level', ['fast', 'full'])
@pytest.mark.parametrize('place', range(len(FILE_FAULTS)))
def test_a_file_with_a_fault_is_named_and_mended(tmp_path, place, level):
    content, code = FILE_FAULTS[place]
    source = sound(tmp_path)
    (tmp_path / '3.png').write_bytes(content)
    found = only(checked(source, level), code)
    assert (found.image_id, found.image) == (3, '3.png')
    if found.severity == 'error':
        assert_mends(source, tmp_path, level)


def test_a_folder_in_place_of_an_image_is_named(tmp_path):
    source = sound(tmp_path)
    (tmp_path / '3.png').unlink()
    (tmp_path / '3.png').mkdir()
    assert only(checked(source), 'unreadable_image').image == '3.png'


def test_a_png_of_16_bits_is_named(tmp_path):
    source = sound(tmp_path)
    cv2.imwrite(str(tmp_path / '3.png'), np.zeros((60, 80), np.uint16))
    assert only(checked(source), 'sixteen_bit').image == '3.png'


def test_damage_within_a_jpeg_is_seen_where_it_is_decoded(tmp_path):
    source = sound(tmp_path)
    content = bytearray(encoded('jpg'))
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    (tmp_path / '3.png').write_bytes(content)
    assert 'damaged_pixels' in codes(checked(source, 'full'))


def test_files_that_are_all_missing_are_a_wrong_folder(tmp_path):
    source = sound(tmp_path)
    (tmp_path / 'other').mkdir()
    moved = Source('train', source.ann_file, str(tmp_path / 'other'))
    assert 'not in' in only(checked(moved), 'wrong_folder').text
    gone = Source('train', source.ann_file, str(tmp_path / 'absent'))
    assert 'no folder' in only(checked(gone), 'wrong_folder').text


def test_a_link_out_of_the_folder_is_named(tmp_path):
    source = sound(tmp_path / 'set')
    os.rename(tmp_path / 'set/3.png', tmp_path / 'elsewhere.png')
    os.symlink(tmp_path / 'elsewhere.png', tmp_path / 'set/3.png')
    assert only(checked(source), 'link_outside').image == '3.png'


def test_equal_files_are_named(tmp_path):
    source = sound(tmp_path)
    (tmp_path / '3.png').write_bytes((tmp_path / '1.png').read_bytes())
    for level in ('fast', 'full'):
        assert only(checked(source, level), 'duplicate_content').image == '3.png'


def test_images_in_both_training_and_validation_are_named(tmp_path):
    train, val = sound(tmp_path / 'a'), sound(tmp_path / 'b')
    for i in (1, 2):
        (tmp_path / f'b/{i}.png').write_bytes(encoded('png') + bytes(i))
    report = check_sources([train, val], 'full', workers=1)
    assert codes(report) == dict(shared_image=2)
    assert only(report, 'shared_image').file == val.ann_file


DAMAGE = [
    (b'', 'not valid JSON'),
    (b'{"images": [', 'not valid JSON'),
    (b'[]', 'holds a list'),
    (b'[' * 100_000, 'nests'),
    (b'{"a": ' * 100_000, 'nests'),
    (b'{"images": ' + b'9' * 5000 + b'}', 'not valid JSON'),
    ('{"images": "é"}'.encode('latin-1'), 'Latin-1'),
    ('{}'.encode('utf-8-sig'), 'byte order mark'),
    ('{}'.encode('utf-16'), 'UTF-16'),
    ('{}'.encode('utf-32'), 'UTF-32'),
]


@pytest.mark.parametrize('place', range(len(DAMAGE)))
def test_a_file_that_is_no_json_is_named(tmp_path, place):
    content, message = DAMAGE[place]
    source = sound(tmp_path)
    Path(source.ann_file).write_bytes(content)
    found = only(checked(source), 'damaged_file')
    assert message in found.text
    assert source.ann_file in found.text


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-32', 'latin-1'])
def test_other_encodings_are_mended(tmp_path, encoding):
    source = edited(tmp_path, lambda content: content['categories'][0].update(name='é'))
    content = json.loads(Path(source.ann_file).read_text())
    text = json.dumps(content, ensure_ascii=False)
    Path(source.ann_file).write_bytes(text.encode(encoding))
    assert 'damaged_file' in codes(checked(source))
    assert_mends(source, tmp_path)
    assert 'é' in checked(source.of_file(str(tmp_path / 'mended.json'))).sets[0].objects


@pytest.mark.parametrize('key', ['images', 'annotations', 'categories'])
def test_a_list_that_is_missing_or_empty_is_an_error(tmp_path, key):
    assert 'no_list' in codes(checked(edited(tmp_path, lambda x: x.pop(key))))
    assert 'no_list' in codes(checked(edited(tmp_path, lambda x: x.update({key: 5}))))
    report = checked(edited(tmp_path, lambda x: x.update({key: []})))
    assert only(report, 'empty_list').severity == 'error'


def test_a_missing_file_is_named(tmp_path):
    report = checked(Source('train', str(tmp_path / 'absent.json'), ''))
    assert 'absent.json' in only(report, 'missing_file').text


CLASS_FAULTS = [
    (('cup', 'tre', 'boat'), 'unknown_class', "mean 'tree'"),
    (('cup', 'cup', 'tree', 'boat'), 'duplicate_class', "'cup' is named twice"),
    ('cup', 'unknown_class', "('cup',)"),
    (('cup', 'tree'), 'other_class', 'boat'),
]


@pytest.mark.parametrize(('classes', 'code', 'message'), CLASS_FAULTS)
def test_wrong_class_names_are_named_with_the_nearest(tmp_path, classes, code, message):
    source = sound(tmp_path)
    source = Source('train', source.ann_file, source.folder, classes)
    report = checked(source)
    only(report, code)
    assert message in as_table(report)


def test_a_class_without_a_box_is_named(tmp_path):
    report = checked(sound(tmp_path, BOXES[:2]))
    assert "'boat' has no box" in only(report, 'unused_class').text


def test_the_model_must_have_as_many_classes(tmp_path):
    source = sound(tmp_path)
    source = Source('train', source.ann_file, source.folder, num_classes=80)
    assert 'there are 3 classes' in only(checked(source), 'num_classes').mend


def test_two_sets_must_mean_the_same_classes(tmp_path):
    train, val = sound(tmp_path / 'a'), sound(tmp_path / 'b')
    order = ('boat', 'cup', 'tree')
    val = Source('val', val.ann_file, val.folder, order)
    assert 'different_classes' in codes(check_sources([train, val], 'fast'))


def test_counts_go_on_where_examples_end(tmp_path):
    boxes = [box([5 + i / 100, 5, 0, 9]) for i in range(3 * EXAMPLES)]
    report = checked(sound(tmp_path, [*BOXES, *boxes]))
    assert codes(report)['zero_box'] == 3 * EXAMPLES
    assert sum(x.code == 'zero_box' for x in report.findings) == EXAMPLES
    assert json.dumps(report.as_data())


def config(source: Source, **arguments: Any) -> dict:
    dataset = dict(
        type='CocoDataset',
        ann_file=source.ann_file,
        data_prefix=dict(img_path=source.folder),
        **arguments,
    )
    return dict(train_dataloader=dict(dataset=dataset))


def test_training_ends_at_an_error_in_one_line(tmp_path, capsys):
    cfg = config(edited(tmp_path, lambda x: x['images'][1].update(file_name='no.png')))
    with pytest.raises(
        DataError, match=r'boxes\.json, image 2 \(no\.png\): there is no'
    ):
        check_before_training(cfg, 'fast')
    assert 'missing_image' in capsys.readouterr().out
    check_before_training(cfg, 'off')


def test_training_goes_on_with_a_warning_in_one_line(tmp_path, monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(check, 'print_log', lambda line, **_: lines.append(line))
    check_before_training(config(sound(tmp_path, [*BOXES, box([5, 5, 0, 9])])), 'fast')
    assert len(lines) == 1
    assert '1 zero_box' in lines[0]


def test_a_file_that_was_checked_is_not_parsed_again_unless_it_changed(
    tmp_path, monkeypatch
):
    source = sound(tmp_path)
    parsed: list[str] = []
    plain = check.parse_coco

    def parse(path: str) -> dict:
        parsed.append(path)
        return plain(path)

    for module in ('check', 'coco_file'):
        monkeypatch.setattr(f'freeanchor.datasets.{module}.parse_coco', parse)
    arguments = dict(data_prefix=dict(img_path=source.folder))
    check_before_training(config(source), 'fast')
    CocoDataset(source.ann_file, **arguments)
    assert len(parsed) == 1
    check_before_training(config(source), 'fast')
    sound(tmp_path, BOXES[:5])
    assert (
        len(CocoDataset(source.ann_file, **arguments).get_data_info(1)['instances'])
        == 2
    )
    assert len(parsed) == 3


def test_sets_within_others_are_found(tmp_path):
    parts = [config(sound(tmp_path / x))['train_dataloader']['dataset'] for x in 'ab']
    joined = dict(type='ConcatDataset', datasets=parts)
    cfg = dict(
        train_dataloader=dict(
            dataset=dict(type='RepeatDataset', times=2, dataset=joined)
        ),
        val_dataloader=dict(dataset={**parts[1], 'test_mode': True}),
    )
    found = check.sources_of(cfg)
    assert [Path(x.ann_file).parent.name for x in found] == ['a', 'b']
