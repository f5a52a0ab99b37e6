"""YOLO's format: layouts of folders, and faults by file and line."""

import pytest

from freeanchor.datasets import DataError
from freeanchor.datasets.formats import read_data

from .sets import BOXES, CLASSES, boxes_of, expected, write, write_image, write_yolo


@pytest.mark.parametrize(
    ('images', 'labels'),
    [
        ('images/{}', 'labels/{}'),
        ('{}/images', '{}/labels'),
        ('{}', '{}'),
    ],
)
@pytest.mark.parametrize('described', [True, False])
def test_all_customary_folders_are_found(images, labels, described, tmp_path):
    file = write_yolo(tmp_path, images, labels)
    if not described:
        file.unlink()
        write(tmp_path / 'classes.txt', '\n'.join(CLASSES))
    found = read_data(tmp_path)
    assert found.classes == CLASSES
    assert {x: set(boxes_of(y)) for x, y in found.splits.items()} == {
        x: set(y) for x, y in BOXES.items()
    }


def test_splits_may_be_lists_of_images(tmp_path):
    file = write_yolo(tmp_path)
    for split, own in BOXES.items():
        lines = (f'./images/{split}/{stem}.png' for stem in own)
        write(tmp_path / f'{split}_list.txt', '\n'.join(lines))
    file.write_text(
        'train: train_list.txt\nval: [val_list.txt]\nnames: [boat, cup, tree]\n'
    )
    found = read_data(tmp_path)
    for split in BOXES:
        assert boxes_of(found.splits[split]).keys() == expected(split).keys()


def test_an_image_of_a_list_that_is_not_there_is_named_with_its_line(tmp_path):
    file = write_yolo(tmp_path)
    write(tmp_path / 'list.txt', './images/train/a.png\n\n./images/train/none.png\n')
    file.write_text('train: list.txt\nnames: [boat, cup, tree]\n')
    with pytest.raises(DataError, match=r"list\.txt, line 3: there is no image './ima"):
        read_data(tmp_path)


def test_paths_of_another_machine_and_of_roboflow_are_mended_and_said(tmp_path):
    file = write_yolo(tmp_path, '{}/images', '{}/labels')
    text = 'path: /nowhere/mine\ntrain: ../train/images\nval: ../val/images\n'
    file.write_text(text + 'nc: 3\nnames: [boat, cup, tree]\n')
    found = read_data(file)
    assert set(found.splits) == {'train', 'val'}
    assert "path '/nowhere/mine' is not there" in found.notes[0]


def test_polygons_are_read_as_the_boxes_around(tmp_path):
    write_yolo(tmp_path)
    write(tmp_path / 'labels' / 'val' / 'd.txt', '1 0.25 0.5 0.5 0.25 0.75 1.0')
    found = read_data(tmp_path)
    assert boxes_of(found.splits['val'])['d'] == [['cup', 20, 15, 40, 45]]
    assert any('1 polygons' in x for x in found.notes)


def test_points_behind_a_box_are_left_out(tmp_path):
    file = write_yolo(tmp_path)
    file.write_text(file.read_text() + 'kpt_shape: [1, 3]\n')
    for path in (tmp_path / 'labels').rglob('*.txt'):
        lines = (f'{x} 0.5 0.5 2' for x in path.read_text().splitlines())
        path.write_text('\n'.join(lines))
    found = read_data(tmp_path).splits['val']
    assert boxes_of(found)['d'][0][1:] == pytest.approx(expected('val')['d'][0][1:])


@pytest.mark.parametrize(
    ('line', 'words'),
    [
        ('0 0.5 0.5 0.1', 'has 4 values: a box has 5'),
        ('0 0.5 0.5 0.1 0.1 0.9', 'has 6 values.*score of a prediction'),
        ('0 0.5 half 0.1 0.1', 'is not numbers'),
        ('0.5 0.5 0.5 0.1 0.1', 'the class is a whole number'),
        ('0 nan 0.5 0.1 0.1', 'the others are finite'),
        ('3 0.5 0.5 0.1 0.1', r'class 3 is not one of the 3 of .*data\.yaml'),
        ('-1 0.5 0.5 0.1 0.1', 'class -1 is not one'),
        ('0 40 30 20 10', 'no shares of the image'),
    ],
)
def test_a_bad_line_is_named(line, words, tmp_path):
    write_yolo(tmp_path)
    write(tmp_path / 'labels' / 'train' / 'a.txt', f'0 0.5 0.5 0.1 0.1\n\n{line}\n')
    with pytest.raises(DataError, match=rf'a\.txt, line 3: .*{words}'):
        read_data(tmp_path)


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('train: images/train\nnames: [a, a, b]', "the class 'a' is there twice"),
        ('train: images/train\nnames: [a, b]\nnc: 3', 'nc is 3, but names has 2'),
        ('train: images/train\nnames: {1: a, 2: b}', 'count them from 0'),
        ('train: images/none\nnc: 3', "train is 'images/none', which is not there"),
        ('train: [\nnames: 3', 'line 3: is no YAML'),
        ('train: images/train\nnc: 0', "there is no 'names'"),
        ('val: images/val\ntrain:\nnc: 3', "there is no 'train'"),
    ],
)
def test_a_wrong_description_is_named(text, words, tmp_path):
    write_yolo(tmp_path).write_text(text + '\n')
    with pytest.raises(DataError, match=rf'data\.yaml.*{words}'):
        read_data(tmp_path / 'data.yaml')


def test_a_description_runs_no_code(tmp_path):
    file = write_yolo(tmp_path)
    file.write_text('train: !!python/object/apply:os.getcwd []\nnames: [a]\n')
    with pytest.raises(DataError, match='is no YAML'):
        read_data(file)


def test_images_without_any_label_file_are_refused_with_the_place_of_one(tmp_path):
    write_image(tmp_path / 'images' / 'train' / 'a.png')
    write(tmp_path / 'data.yaml', 'train: images/train\nnames: [cup]\n')
    with pytest.raises(DataError, match=r'would have .*labels/train/a\.txt'):
        read_data(tmp_path)


def test_without_names_classes_are_numbered_and_that_is_said(tmp_path):
    write_yolo(tmp_path).unlink()
    found = read_data(tmp_path)
    assert found.classes == ('class_0', 'class_1', 'class_2')
    assert any('no file names the classes' in x for x in found.notes)


def test_images_without_a_label_file_are_counted(tmp_path):
    write_yolo(tmp_path)
    assert any(
        x.startswith('1 images have no label') for x in read_data(tmp_path).notes
    )
