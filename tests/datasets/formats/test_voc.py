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


def write_devkit(root, missing=()):
    """Two years in one folder, whose images have the same names."""
    for year, name in ((2007, 'cup'), (2012, 'tree')):
        for split, stem in (('train', '1'), ('val', '2')):
            write_image(root / f'VOC{year}/JPEGImages/{stem}.png', year % 100 + 70)
            text = voc_xml(stem, [Box(name, 1, 1, 5, 5)]).replace('>80<', '>0<')
            write(root / f'VOC{year}/Annotations/{stem}.xml', text)
            if (year, split) not in missing:
                write(root / f'VOC{year}/ImageSets/Main/{split}.txt', stem)
    return root


def classes_and_widths(split):
    names = {x['id']: x['name'] for x in split.content['categories']}
    widths = {x['id']: x['width'] for x in split.content['images']}
    entries = split.content['annotations']
    return [(names[x['category_id']], widths[x['image_id']]) for x in entries]


def test_the_years_of_a_devkit_are_read_together(tmp_path):
    found = read_data(write_devkit(tmp_path))
    assert list(found.splits) == ['train', 'val']
    for split in found.splits.values():
        assert classes_and_widths(split) == [('cup', 77), ('tree', 82)]


def test_each_year_may_have_lists_of_its_own(tmp_path):
    root = write_devkit(tmp_path, missing=[(2012, 'train'), (2012, 'val')])
    write(root / 'VOC2012/ImageSets/Main/trainval.txt', '1\n2')
    found = read_data(root)
    train = [('cup', 77), ('tree', 82), ('tree', 82)]
    assert classes_and_widths(found.splits['train']) == train
    assert classes_and_widths(found.splits['val']) == [('cup', 77)]


def test_images_that_no_list_names_are_counted(tmp_path):
    found = read_data(write_devkit(tmp_path, missing=[(2012, 'train'), (2012, 'val')]))
    assert any('2 of 4 XML files are in no list' in x for x in found.notes)
    full = read_data(write_voc(tmp_path / 'whole'))
    assert not any('in no list' in x for x in full.notes)


def test_of_equal_names_the_one_in_annotations_is_meant(tmp_path):
    root = write_voc(tmp_path)
    write(root / 'old' / 'd.xml', voc_xml('d', [Box('cup', 1, 1, 5, 5)]))
    assert boxes_of(read_data(root).splits['val']) == expected('val')


def test_a_name_of_a_list_with_several_files_is_refused(tmp_path):
    root = write_voc(tmp_path)
    for folder in ('one', 'two'):
        write(root / 'Annotations' / folder / 'd.xml', voc_xml('d', []))
    (root / 'Annotations' / 'd.xml').unlink()
    with pytest.raises(DataError, match=r'val\.txt, line 1: d is .*one.d\.xml and'):
        read_data(root)


def test_names_of_a_list_may_have_spaces_and_flags(tmp_path):
    root = write_voc(tmp_path)
    for path in (root / 'Annotations/d.xml', root / 'JPEGImages/d.png'):
        path.rename(path.with_stem('my dog 1'))
    write(root / 'ImageSets/Main/train.txt', 'a  1\nb -1\nc 0')
    write(root / 'ImageSets/Main/val.txt', 'my dog 1')
    found = read_data(root)
    assert boxes_of(found.splits['val']) == {'my dog 1': expected('val')['d']}
    assert boxes_of(found.splits['train']) == expected('train')
