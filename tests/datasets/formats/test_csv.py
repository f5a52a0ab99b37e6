"""Tables of boxes: names of columns, delimiters, and faults by line."""

import pytest

from freeanchor.datasets import DataError
from freeanchor.datasets.formats import read_data

from .sets import BOXES, boxes_of, write, write_csv, write_image


def one_image(root, text):
    write_image(root / 'a.png')
    return write(root / 'boxes.csv', text)


@pytest.mark.parametrize(
    'text',
    [
        'filename,class,xmin,ymin,xmax,ymax\na.png,cup,10,20,30,50\n',
        'filename;class;xmin;ymin;xmax;ymax\na.png;cup;10;20;30;50\n',
        'Image Path,Label,X_min,Y_min,X_max,Y_max\na.png,cup,10,20,30,50\n',
        'a.png,10,20,30,50,cup\n',
        'file_name,class_name,bbox_x,bbox_y,bbox_width,bbox_height\n'
        'a.png,cup,10,20,20,30\n',
    ],
)
def test_columns_go_by_many_names(text, tmp_path):
    path = one_image(tmp_path, text)
    for source in (path, tmp_path):
        found = read_data(source)
        assert found.format == 'csv'
        assert boxes_of(found.splits['train']) == {'a': [['cup', 10, 20, 20, 30]]}


def test_a_column_may_say_the_split(tmp_path):
    write_csv(tmp_path)
    rows = ['split,image,label,x1,y1,x2,y2']
    for split, own in BOXES.items():
        rows += [
            f'{split},{split}/{stem}.png,{x.name},{x.x},{x.y},{x.x + x.w},{x.y + x.h}'
            for stem, boxes in own.items()
            for x in boxes
        ]
    path = write(tmp_path / 'all.csv', '\n'.join(rows))
    found = read_data(path)
    assert set(boxes_of(found.splits['train'])) == {'a', 'b'}
    assert set(boxes_of(found.splits['val'])) == {'d'}


@pytest.mark.parametrize(
    ('row', 'words'),
    [
        ('a.png,cup,10,20,30', 'has 5 of 6 columns'),
        ('a.png,cup,10,20,x,50', r'\(10, 20, x, 50\) of \'cup\' is no box'),
        ('a.png,,10,20,30,50', "of '' is no box"),
        ('a.png,cup,30,20,10,50', 'corners are exchanged'),
        ('none.png,cup,10,20,30,50', "there is no image 'none.png'"),
    ],
)
def test_a_bad_row_is_named(row, words, tmp_path):
    head = 'filename,class,xmin,ymin,xmax,ymax\na.png,cup,10,20,30,50\n'
    path = one_image(tmp_path, head + row)
    with pytest.raises(DataError, match=rf'boxes\.csv, line 3: .*{words}'):
        read_data(path)


def test_columns_that_are_missing_are_named(tmp_path):
    path = one_image(tmp_path, 'filename,class,xmin,ymin\na.png,cup,1,2\n')
    with pytest.raises(DataError, match='these columns are missing: xmax, ymax'):
        read_data(path)
