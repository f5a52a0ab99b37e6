"""Each fault of entries and files, one at a time, in a set that is sound else."""

import faulthandler
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from freeanchor.datasets.check import Source, check_sources
from freeanchor.datasets.checks import looking

from .checked_sets import (
    assert_mends,
    checked,
    codes,
    edited,
    only,
    sound,
)
from .pictures import bomb, encoded, with_long_part, with_orientation

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


def test_an_image_that_kills_the_decoder_is_named_and_the_others_are_looked_at(
    tmp_path, monkeypatch
):
    source = sound(tmp_path)
    deadly = encoded('png')
    (tmp_path / '3.png').write_bytes(deadly)
    decode = cv2.imdecode

    def decode_or_die(content: np.ndarray, flags: int) -> np.ndarray:
        if content.tobytes() == deadly:
            faulthandler.disable()  # it would print where
            os.abort()
        return decode(content, flags)

    monkeypatch.setattr(cv2, 'imdecode', decode_or_die)
    monkeypatch.setattr(looking, '_TOGETHER', 2)
    report = checked(source, 'full')
    assert codes(report) == dict(crashing_image=1)
    found = only(report, 'crashing_image')
    assert (found.severity, found.image) == ('error', '3.png')
    assert report.sets[0].files_seen == 4
    assert_mends(source, tmp_path, 'full')


def test_a_png_that_claims_gigabytes_is_named_where_it_would_be_decoded(tmp_path):
    source = sound(tmp_path)
    (tmp_path / '3.png').write_bytes(with_long_part())
    assert 'longer than the file' in only(checked(source, 'full'), 'cut_image').text
    assert_mends(source, tmp_path, 'full')


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
