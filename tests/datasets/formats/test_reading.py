"""The same boxes come out of every format, and what cannot be read is named."""

import json

import pytest

from freeanchor.datasets import CocoDataset, DataError
from freeanchor.datasets.formats import FORMATS, read_data, write_coco

from .sets import (
    BOXES,
    CLASSES,
    boxes_of,
    expected,
    write,
    write_csv,
    write_image,
    write_voc,
    write_yolo,
)


def write_as_coco(root):
    write_voc(root / 'voc')
    write_coco(read_data(root / 'voc'), root / 'coco', copy_images=True)
    return root / 'coco'


WRITERS = dict(coco=write_as_coco, yolo=write_yolo, voc=write_voc, csv=write_csv)


@pytest.mark.parametrize('format', FORMATS)
def test_a_format_is_recognised_and_its_boxes_are_those_that_were_written(
    format, tmp_path
):
    path = WRITERS[format](tmp_path)
    found = read_data(path.parent if path.is_file() else path)
    assert found.format == format
    assert found.classes == CLASSES
    assert list(found.splits) == list(BOXES)
    for name, split in found.splits.items():
        read = boxes_of(split)
        assert read.keys() == expected(name).keys()
        for stem, boxes in expected(name).items():
            assert [x[0] for x in read[stem]] == [x[0] for x in boxes]
            for own, other in zip(read[stem], boxes):
                assert own[1:] == pytest.approx(other[1:], abs=1e-3)


@pytest.mark.parametrize('format', FORMATS)
@pytest.mark.parametrize('copied', [False, True])
def test_what_is_written_is_read_by_the_data_set(format, copied, tmp_path):
    path = WRITERS[format](tmp_path / 'source')
    found = read_data(path.parent if path.is_file() else path)
    written = write_coco(found, tmp_path / 'out', copied)
    for name, (file, folder) in written.items():
        dataset = CocoDataset(
            str(file),
            data_prefix=dict(img_path=folder),
            metainfo=dict(classes=CLASSES),
            pipeline=[dict(type='LoadImageFromFile')],
            strict=True,
        )
        assert len(dataset) == len(BOXES[name])
        for i in range(len(dataset)):
            assert dataset[i]['img'].shape == (60, 80, 3)


def test_a_folder_of_nothing_known_is_refused_with_the_signs_of_each_format(tmp_path):
    write(tmp_path / 'readme.md', 'boxes')
    with pytest.raises(DataError, match=r'no format that is read.*yolo: a data\.yaml'):
        read_data(tmp_path)


def test_a_path_that_is_not_there_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='no data set'):
        read_data(tmp_path / 'none')


def test_of_several_formats_coco_is_taken_and_the_others_are_named(tmp_path):
    write_yolo(tmp_path)
    write_coco(read_data(tmp_path), tmp_path)
    found = read_data(tmp_path)
    assert found.format == 'coco'
    assert 'yolo too' in found.notes[0]
    assert read_data(tmp_path, 'yolo').format == 'yolo'


def test_an_annotation_file_of_coco_finds_the_folder_of_its_images(tmp_path):
    folder = write_as_coco(tmp_path)
    found = read_data(folder / 'annotations' / 'val.json')
    assert list(found.splits) == ['train']  # one file is what to train on
    assert found.splits['train'].folder == str(folder / 'images' / 'val')


def test_several_files_for_one_split_are_refused_by_name(tmp_path):
    folder = write_as_coco(tmp_path)
    text = (folder / 'annotations' / 'train.json').read_text()
    write(folder / 'annotations' / 'train_old.json', text)
    with pytest.raises(DataError, match=r'train\.json.*train_old\.json'):
        read_data(folder)


def test_images_that_are_not_there_are_named(tmp_path):
    folder = write_as_coco(tmp_path)
    for path in (folder / 'images' / 'val').glob('*.png'):
        path.rename(path.with_name('other.png'))
    with pytest.raises(DataError, match=r"val\.json: its images.*'d\.png'"):
        read_data(folder)


def test_an_image_name_that_leads_out_of_the_folder_is_never_copied(tmp_path):
    folder = write_as_coco(tmp_path)
    path = folder / 'annotations' / 'val.json'
    content = json.loads(path.read_text())
    content['images'][0]['file_name'] = '../d.png'
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match='leads out of the folder'):
        read_data(folder)


def test_a_broken_image_of_many_is_left_out_and_named(tmp_path):
    write_yolo(tmp_path)
    write(tmp_path / 'images' / 'train' / 'z.png', 'no image')
    found = read_data(tmp_path)
    assert 'z' not in boxes_of(found.splits['train'])
    assert any('z.png (it is no image' in x for x in found.notes)


def test_many_broken_images_are_an_error(tmp_path):
    write_yolo(tmp_path)
    for name in ('x', 'y', 'z'):
        write(tmp_path / 'images' / 'train' / f'{name}.png', '')
    with pytest.raises(DataError, match=r'3 of 6 images cannot be read: x\.png'):
        read_data(tmp_path)


def test_files_that_are_there_are_not_written_over(tmp_path):
    found = read_data(write_voc(tmp_path))
    write_coco(found, tmp_path / 'out')
    write_coco(found, tmp_path / 'out')  # the same again is no loss
    found.splits['val'].content['images'][0]['width'] += 1
    with pytest.raises(DataError, match=r'val\.json is there already'):
        write_coco(found, tmp_path / 'out')


def test_images_that_lie_where_they_would_be_copied_stay(tmp_path):
    write_yolo(tmp_path)
    before = (tmp_path / 'images/train/a.png').read_bytes()
    written = write_coco(read_data(tmp_path), tmp_path, copy_images=True)
    assert written['train'][1] == str(tmp_path / 'images/train')
    assert (tmp_path / 'images/train/a.png').read_bytes() == before
    assert read_data(written['val'][0]).splits['train'].content['images']


def test_images_that_are_there_are_not_written_over(tmp_path):
    found = read_data(write_voc(tmp_path / 'voc'))
    other = tmp_path / 'out/images/val/d.png'
    write(other, 'another picture')
    with pytest.raises(DataError, match=r'd\.png is there already, with other content'):
        write_coco(found, tmp_path / 'out', copy_images=True)
    assert other.read_text() == 'another picture'
    assert [x for x in (tmp_path / 'out').rglob('*') if x.is_file()] == [other]
    other.unlink()
    for _ in range(2):  # the same again is no loss
        write_coco(found, tmp_path / 'out', copy_images=True)
    assert other.read_bytes() == (tmp_path / 'voc/JPEGImages/d.png').read_bytes()


def test_an_image_is_as_wide_as_it_is_shown(tmp_path):
    from tests.datasets.pictures import encoded, with_orientation

    write_yolo(tmp_path)
    path = tmp_path / 'images' / 'val' / 'turned.jpg'
    path.write_bytes(with_orientation(encoded('jpg', 80, 60), 6))
    images = read_data(tmp_path).splits['val'].content['images']
    (turned,) = (x for x in images if x['file_name'] == 'turned.jpg')
    assert (turned['width'], turned['height']) == (60, 80)


def test_links_in_a_circle_are_followed_once(tmp_path):
    write_yolo(tmp_path)
    (tmp_path / 'images' / 'train' / 'again').symlink_to(tmp_path / 'images')
    write_image(tmp_path / 'images' / 'val' / 'e.png')
    assert set(boxes_of(read_data(tmp_path).splits['val'])) == {'d', 'e'}
