"""Sound and malformed data sets, given to the tools of ``tools/data``."""

import json
from pathlib import Path

import pytest

from freeanchor.datasets.coco_file import read_coco
from freeanchor.datasets.formats import read_data
from freeanchor.datasets.statistics import statistics_of
from tests.datasets.formats.sets import write, write_image
from tests.test_tools import recipe
from tests.tools.test_own_data import tool

__all__ = ['recipe', 'tool']  # the fixtures


def write_coco_pair(root, first, second):
    """Two splits of one image and a box of each class, classes in the given orders.

    A box of the class ``cup`` is 10 wide, of any other class 20.
    """
    for split, names in (('train', first), ('val', second)):
        write_image(root / 'images' / split / f'{split}.png')
        boxes = [
            dict(id=i, image_id=7, category_id=i, bbox=[0, 0, width_of(name), 9])
            for i, name in enumerate(names, 1)
        ]
        content = dict(
            images=[dict(id=7, file_name=f'{split}.png', width=80, height=60)],
            annotations=boxes,
            categories=[dict(id=i, name=name) for i, name in enumerate(names, 1)],
        )
        write(root / 'annotations' / f'{split}.json', json.dumps(content))
    return root


def width_of(name):
    return 10 if name == 'cup' else 20


def test_splits_with_their_classes_in_another_order_keep_each_boxs_class(
    tool, tmp_path
):
    write_coco_pair(tmp_path / 'mine', ('cup', 'tree'), ('tree', 'cup'))
    shares = ('--fractions', 'train=0.5', 'test=0.5')
    code, text = tool('split', 'mine', 'out', *shares)
    assert code == 0, text
    for name in ('train', 'test'):
        file = read_coco(str(tmp_path / f'out/annotations/{name}.json'))
        assert len(file.annotations) == 2
        for entry in file.annotations:
            assert entry['bbox'][2] == width_of(file.categories[entry['category_id']])


def test_a_class_that_the_first_split_lacks_is_named(tool, tmp_path):
    write_coco_pair(tmp_path / 'mine', ('cup', 'tree'), ('cup', 'boat'))
    code, text = tool('split', 'mine', 'out')
    assert code == 3
    assert "val.json has the class 'boat', which" in text
    assert not (tmp_path / 'out').exists()


def test_the_table_has_the_classes_of_the_splits_that_are_parted(tool, tmp_path):
    write_coco_pair(tmp_path / 'mine', ('cup', 'tree'), ('tree', 'cup', 'boat'))
    path = tmp_path / 'mine/annotations/val.json'
    content = json.loads(path.read_text())
    write_image(tmp_path / 'mine/images/val/b.png')
    content['images'].append(dict(id=8, file_name='b.png', width=80, height=60))
    path.write_text(json.dumps(content))
    code, text = tool('split', 'mine', 'out', '--only', 'val')
    assert code == 0, text
    assert 'boat' in text


@pytest.mark.parametrize('name', ['split', 'stats'])
@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(image_id=99), 'image_id is 99'),
        (dict(category_id=99), 'category_id is 99'),
        (dict(bbox=['1', '2', '3', '4']), 'bbox is'),
        (dict(bbox=[1, 2, 3]), 'bbox is'),
        (dict(id=[1]), "annotations[0] has no 'id'"),
    ],
)
def test_a_malformed_annotation_is_named_and_the_doctor_recommended(
    name, change, words, tool, tmp_path
):
    write_coco_pair(tmp_path / 'mine', ('cup', 'tree'), ('cup', 'tree'))
    path = tmp_path / 'mine/annotations/train.json'
    content = json.loads(path.read_text())
    content['annotations'][0].update(change)
    path.write_text(json.dumps(content))
    code, text = tool(name, 'mine', *(['out'] if name == 'split' else []))
    assert code == 3
    assert words in text
    assert 'annotations/train.json' in text
    assert 'tools/data/doctor.py --ann' in text


def test_a_malformed_box_of_the_configs_own_data_is_named(recipe, tool, tmp_path):
    path = next(Path(recipe).parent.rglob('train.json'))
    content = json.loads(path.read_text())
    content['annotations'][0]['bbox'] = [1, 2, 3]
    path.write_text(json.dumps(content))
    code, text = tool('anchors', recipe)
    assert code == 3
    number = content['annotations'][0]['id']
    assert f'annotation {number}: bbox is [1, 2, 3]' in text
    assert 'tools/data/doctor.py' in text


def test_plots_count_classes_by_name(tool, tmp_path):
    pytest.importorskip('matplotlib')
    from statistics_plot import class_counts

    write_coco_pair(tmp_path / 'mine', ('cup', 'tree'), ('boat', 'cup'))
    splits = read_data(tmp_path / 'mine').splits
    found = {name: statistics_of(x.content) for name, x in splits.items()}
    names, counts = class_counts(found)
    assert names == ('cup', 'tree', 'boat')
    assert counts['train'].tolist() == [1, 1, 0]
    assert counts['val'].tolist() == [1, 0, 1]


def test_a_set_without_objects_has_no_plot_and_says_so(tool, tmp_path):
    write_coco_pair(tmp_path / 'mine', ('cup',), ('cup',))
    for path in (tmp_path / 'mine/annotations').iterdir():
        content = {**json.loads(path.read_text()), 'annotations': []}
        path.write_text(json.dumps(content))
    code, text = tool('stats', 'mine')
    assert code == 0, text
    code, text = tool('stats', 'mine', '--out', 'out')
    assert code == 3
    assert 'there are no objects to draw' in text
