"""Pascal VOC's format: corners, splits, and XML that is not trusted."""

import pytest

from freeanchor.datasets import DataError
from freeanchor.datasets.formats import read_data

from .sets import BOXES, Box, boxes_of, expected, voc_xml, write, write_image, write_voc


@pytest.mark.parametrize('shift', [0, 1])
def test_corners_may_count_from_one_or_be_edges(shift, tmp_path):
    found = read_data(write_voc(tmp_path, shift))
    assert boxes_of(found.splits['train']) == expected('train')
    assert any('count from 0' in x for x in found.notes) == (shift == 0)


def test_trainval_stands_in_for_train(tmp_path):
    lists = write_voc(tmp_path) / 'ImageSets' / 'Main'
    (lists / 'train.txt').rename(lists / 'trainval.txt')
    (lists / 'val.txt').rename(lists / 'test.txt')
    assert set(read_data(tmp_path).splits) == {'train', 'test'}


def test_folders_may_be_the_splits(tmp_path):
    for split, own in BOXES.items():
        for stem, boxes in own.items():
            write_image(tmp_path / split / f'{stem}.png')
            write(tmp_path / split / f'{stem}.xml', voc_xml(stem, boxes))
    found = read_data(tmp_path)
    assert boxes_of(found.splits['val']) == expected('val')


def test_equal_names_in_two_splits_are_two_images(tmp_path):
    for split, width in (('train', 80), ('val', 96)):
        write_image(tmp_path / 'images' / split / 'a.png', width)
        text = voc_xml('a', [Box('cup', 1, 1, 5, 5)]).replace('<width>80', '<width>0')
        write(tmp_path / 'annotations' / split / 'a.xml', text)
    found = read_data(tmp_path)
    widths = {x: y.content['images'][0]['width'] for x, y in found.splits.items()}
    assert widths == dict(train=80, val=96)  # of the files, where XML says 0


def test_difficult_objects_are_ignored(tmp_path):
    path = write_voc(tmp_path) / 'Annotations' / 'd.xml'
    text = path.read_text().replace('<bndbox>', '<difficult>1</difficult><bndbox>')
    path.write_text(text)
    found = read_data(tmp_path)
    (entry,) = found.splits['val'].content['annotations']
    assert entry['iscrowd'] == 1
    assert any('1 objects are marked difficult' in x for x in found.notes)


def test_a_document_type_is_refused_before_anything_is_expanded(tmp_path):
    path = write_voc(tmp_path) / 'Annotations' / 'a.xml'
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]>\n'
    path.write_text(bomb + path.read_text().replace('cup', '&c;'))
    with pytest.raises(DataError, match=r'a\.xml, line 1: has a document type'):
        read_data(tmp_path)


@pytest.mark.parametrize(
    ('old', 'new', 'words'),
    [
        ('<name>cup</name>', '', 'line 3: the <object> has no <name>'),
        ('<xmin>1</xmin>', '', 'line 3: <xmin> of the <bndbox> is None'),
        ('<xmin>1<', '<xmin>left<', "is 'left': write a number"),
        ('<xmin>1<', '<xmin>nan<', "is 'nan': write a number"),
        ('<xmax>20<', '<xmax>-9<', r'the corners \(1, 1\) and \(-9, 30\)'),
        ('</annotation>', '', 'line 6: is no XML: no element found'),
        ('<annotation>', '<annotation>' + '<a>' * 60, 'elements are nested 50 deep'),
        ('a.png', 'a.png', 'there is no image'),
    ],
)
def test_a_bad_file_is_named_with_its_line(old, new, words, tmp_path):
    path = write_voc(tmp_path) / 'Annotations' / 'a.xml'
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1) + ('\n' if not new else ''))
    if old == new:
        (tmp_path / 'JPEGImages' / 'a.png').unlink()
    with pytest.raises(DataError, match=rf'a\.xml.*{words}'):
        read_data(tmp_path)


def test_a_name_of_a_list_without_a_file_is_named_with_its_line(tmp_path):
    lists = write_voc(tmp_path) / 'ImageSets' / 'Main'
    write(lists / 'train.txt', 'a\nnone\n')
    with pytest.raises(DataError, match=r'train\.txt, line 2: there is no none\.xml'):
        read_data(tmp_path)


def test_a_box_that_ends_a_pixel_early_is_empty_and_no_error(tmp_path):
    write_voc(tmp_path)
    text = voc_xml('d', [Box('tree', 4, 8, 0, 24)])
    write(tmp_path / 'Annotations' / 'd.xml', text)
    found = read_data(tmp_path).splits['val']
    assert boxes_of(found)['d'] == [['tree', 4, 8, 0, 24]]
