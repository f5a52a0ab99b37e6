import copy
import multiprocessing
import pickle
from multiprocessing.reduction import ForkingPickler

import pytest

from freeanchor.datasets import CocoDataset
from freeanchor.datasets.coco_boxes import read_boxes
from freeanchor.datasets.coco_file import CocoFile
from freeanchor.datasets.image_table import ImageTable

from .coco_files import box, write

CATEGORIES = {3: 'cup', 8: 'tree'}


def table(num_images: int = 4, boxes_each: int = 2) -> ImageTable:
    """Image i, from 0, has ``boxes_each`` boxes, but the third has none."""
    images = [
        dict(id=f'id {i}', file_name=f'{i} ü".png', width=80 + i, height=60)
        for i in range(num_images)
    ]
    owners = [i for i in range(num_images) if i != 2 for _ in range(boxes_each)]
    boxes = [
        dict(id=k, **box([k % 9, 0, 9, 9], f'id {i}', iscrowd=k % 2))
        for k, i in enumerate(owners)
    ]
    file = CocoFile(images, boxes, CATEGORIES)
    return ImageTable(images, 'folder', read_boxes(file, [8, 3]))


def names(rows) -> list[str]:
    return [x['img_id'] for x in rows]


def test_a_row_is_what_is_known_of_an_image():
    assert table()[1] == dict(
        img_id='id 1',
        img_path='folder/1 ü".png',
        width=81,
        height=60,
        instances=[
            dict(bbox=[2.0, 0.0, 11.0, 9.0], bbox_label=1, ignore_flag=0, ann_id=2),
            dict(bbox=[3.0, 0.0, 12.0, 9.0], bbox_label=1, ignore_flag=1, ann_id=3),
        ],
    )


def test_rows_are_numbered_as_in_a_list():
    rows = table()
    assert names(rows) == [f'id {i}' for i in range(4)]
    assert rows[-1] == rows[3]
    assert names(rows[1:3]) == ['id 1', 'id 2']
    for index in (4, -5):
        with pytest.raises(IndexError):
            rows[index]


def test_an_image_without_boxes_has_none():
    assert [len(x['instances']) for x in table()] == [2, 2, 0, 2]


def test_a_row_has_no_annotation_ids_where_some_are_text():
    images = [dict(id=1, file_name='1.png', width=80, height=60)]
    boxes = [dict(id=x, **box([5, 5, 9, 9])) for x in (1, 'two')]
    (row,) = ImageTable(
        images, '', read_boxes(CocoFile(images, boxes, CATEGORIES), [3])
    )
    assert (
        row['instances'] == [dict(bbox=[5, 5, 14, 14], bbox_label=0, ignore_flag=0)] * 2
    )


def test_changing_a_row_changes_nothing_else():
    rows = table()
    before = copy.deepcopy(rows[0])
    rows[0]['instances'][0]['bbox'][0] = 99
    rows[0]['width'] = 1
    assert rows[0] == before


def test_some_rows_may_be_taken_and_taken_from_again():
    some = table().take(table().short_sides.argsort(kind='stable')[[3, 2, 0]])
    assert names(some) == ['id 3', 'id 2', 'id 0']
    assert some.annotated.tolist() == [True, False, True]
    assert names(some[1:]) == ['id 2', 'id 0']


def test_a_width_that_is_a_whole_number_is_an_integer():
    images = [dict(id=1, file_name='1.png', width=80.0, height=60.5)]
    row = ImageTable(images, '', read_boxes(CocoFile(images, [], CATEGORIES), []))[0]
    assert (row['width'], row['height']) == (80, 60.5)
    assert isinstance(row['width'], int)


def test_copies_are_equal():
    rows = table()
    for other in (copy.deepcopy(rows), pickle.loads(pickle.dumps(rows))):
        assert list(other) == list(rows)


def test_a_spawned_process_is_told_where_the_arrays_are():
    small, large = (
        len(ForkingPickler.dumps(table(100 * 10**i, boxes_each=10))) for i in (0, 1)
    )
    # Handles, whatever the number of boxes.
    assert abs(large - small) < 200


def send_names(rows: ImageTable, pipe) -> None:
    pipe.send([x['img_id'] for x in rows])


@pytest.mark.slow
def test_a_spawned_process_reads_the_same():
    context = multiprocessing.get_context('spawn')
    here, there = context.Pipe()
    process = context.Process(target=send_names, args=(table(), there))
    process.start()
    assert here.poll(120)
    assert here.recv() == names(table())
    process.join()


def test_a_data_set_is_cut_down_by_indices(tmp_path):
    boxes = [box([5, 5, 9, 9], image=i) for i in (1, 2, 4)]
    files = write(tmp_path, boxes, [(80, 60)] * 5)
    data = CocoDataset(**files)

    def ids(subset: CocoDataset) -> list[int]:
        return [subset.get_data_info(i)['img_id'] for i in range(len(subset))]

    assert ids(CocoDataset(**files, indices=2)) == [1, 2]
    assert ids(CocoDataset(**files, indices=-2)) == [4, 5]
    assert ids(CocoDataset(**files, indices=[3, 0])) == [4, 1]
    assert ids(data.get_subset([3, 1])) == [4, 2]
    assert ids(data) == [1, 2, 3, 4, 5]
    data.get_subset_([4, 0])
    assert ids(data) == [5, 1]
    assert [data.get_data_info(i)['sample_idx'] for i in (0, 1, -1)] == [0, 1, 1]
