import logging

import pytest
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.logging import MMLogger

from freeanchor.datasets import CocoDataset
from freeanchor.registry import DATASETS

from .coco_files import LOAD, PACK, RESIZE, box, write

PIPELINE = [*LOAD, RESIZE, PACK]


def instances(dataset: CocoDataset, index: int = 0) -> list[dict]:
    return dataset.get_data_info(index)['instances']


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    """What is logged as a warning."""
    lines: list[str] = []
    logger = MMLogger.get_current_instance()

    def note(record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            lines.append(record.getMessage())

    monkeypatch.setattr(logger, 'handle', note)
    return lines


def test_labels_follow_the_order_of_the_config(tmp_path):
    files = write(tmp_path, [box([0, 0, 9, 9], category=c) for c in (3, 8, 11)])
    data = CocoDataset(**files, metainfo=dict(classes=['boat', 'cup', 'tree']))
    assert [x['bbox_label'] for x in instances(data)] == [1, 2, 0]
    assert data.metainfo['classes'] == ('boat', 'cup', 'tree')
    assert data.metainfo['cat_ids'] == [11, 3, 8]


def test_labels_follow_the_file_where_no_classes_are_given(tmp_path):
    data = CocoDataset(**write(tmp_path, [box([0, 0, 9, 9], category=8)]))
    assert data.metainfo['classes'] == ('cup', 'tree', 'boat')
    assert instances(data)[0]['bbox_label'] == 1


def test_a_class_that_is_not_in_the_file_is_refused_with_the_nearest(tmp_path):
    files = write(tmp_path, [box([0, 0, 9, 9])])
    with pytest.raises(ValueError, match=r"'Tre'.*boxes\.json.*mean 'tree'\?"):
        CocoDataset(**files, metainfo=dict(classes=('cup', 'Tre')))


def test_classes_that_are_one_text_are_refused(tmp_path):
    files = write(tmp_path, [box([0, 0, 9, 9])])
    with pytest.raises(ValueError, match=r"classes=\('cup',\)"):
        CocoDataset(**files, metainfo=dict(classes='cup'))


def test_a_class_that_is_named_twice_is_refused(tmp_path):
    files = write(tmp_path, [box([0, 0, 9, 9])])
    with pytest.raises(ValueError, match="'cup' twice"):
        CocoDataset(**files, metainfo=dict(classes=('cup', 'cup')))


def test_two_categories_of_one_name_are_refused_only_if_in_use(tmp_path):
    names = [dict(id=3, name='cup'), dict(id=8, name='cup'), dict(id=11, name='boat')]
    files = write(tmp_path, [box([0, 0, 9, 9], category=11)], categories=names)
    with pytest.raises(ValueError, match=r"\[3, 8\] are all named 'cup'"):
        CocoDataset(**files)
    assert len(CocoDataset(**files, metainfo=dict(classes=('boat',)))) == 1


def test_a_box_is_given_by_its_corners_as_annotated(tmp_path):
    data = CocoDataset(**write(tmp_path, [box([70.5, 50, 20, 30])]))
    assert instances(data)[0]['bbox'] == [70.5, 50, 90.5, 80]


@pytest.mark.parametrize('mark', ['iscrowd', 'ignore'])
def test_a_crowd_is_not_an_object(tmp_path, mark):
    files = write(tmp_path, [box([0, 0, 9, 9], **{mark: 1}), box([5, 5, 9, 9])])
    data = CocoDataset(**files, pipeline=PIPELINE)
    assert [x['ignore_flag'] for x in instances(data)] == [1, 0]
    assert data.get_cat_ids(0) == [0]
    sample = data[0]['data_samples']
    assert (len(sample.gt_instances), len(sample.ignored_instances)) == (1, 1)


@pytest.mark.parametrize(
    ('bad', 'reason'),
    [
        (box([5, 5, 0.5, 20]), 'thinner than a pixel'),
        (box([5, 5, -10, 20]), 'thinner than a pixel'),
        (box([80, 5, 10, 20]), 'outside the image'),
        (box([5, -30, 10, 20]), 'outside the image'),
        # float32 would leave it no width
        (box([80 - 1e-7, 5, 10, 20]), 'outside the image'),
        ({**box([5, 5, 10, 20]), 'area': 0}, 'with an area of 0'),
        (box([5, 5, 10, 20], category=11), 'not in use'),
    ],
)
def test_a_useless_box_is_left_out_and_counted(tmp_path, monkeypatch, bad, reason):
    lines: list[str] = []
    monkeypatch.setattr(
        'freeanchor.datasets.coco.print_log', lambda line, **_: lines.append(line)
    )
    files = write(tmp_path, [box([1, 1, 9, 9]), bad, bad])
    data = CocoDataset(**files, metainfo=dict(classes=('cup', 'tree')))
    assert [x['bbox'] for x in instances(data)] == [[1, 1, 10, 10]]
    assert len(lines) == 1
    assert 'boxes.json' in lines[0]
    assert f'2 {reason}' in lines[0] or f'2 of a class that is {reason}' in lines[0]


def test_the_log_names_the_boxes_that_were_left_out(tmp_path, warnings):
    CocoDataset(**write(tmp_path, [box([5, 5, 0, 0])] * 5))
    assert len(warnings) == 1
    assert '5 thinner than a pixel (annotation 100, 101, 102, ...)' in warnings[0]


def test_a_sound_file_is_not_remarked_on(tmp_path, warnings):
    CocoDataset(**write(tmp_path, [box([5, 5, 9, 9])]))
    assert not warnings


def test_iscrowd_and_area_may_be_missing(tmp_path):
    bare = {k: v for k, v in box([5, 5, 9, 9]).items() if k != 'area'}
    data = CocoDataset(**write(tmp_path, [bare]))
    assert instances(data)[0]['ignore_flag'] == 0


def test_ids_may_be_text(tmp_path):
    image = dict(id='left', file_name='1.png', width=80, height=60)
    files = write(tmp_path, [box([5, 5, 9, 9], image='left')], images=[image])
    assert len(instances(CocoDataset(**files))) == 1


SIZES = [(80, 60), (80, 60), (31, 60), (80, 60)]
BOXES = [
    box([5, 5, 9, 9], image=1),
    box([5, 5, 9, 9], image=2, category=8),
    box([5, 5, 9, 9], image=3),
]


def kept(files: dict, **kwargs) -> list[int]:
    cups = dict(classes=('cup',))
    data = CocoDataset(**files, metainfo=cups, **kwargs)
    return [data.get_data_info(i)['img_id'] for i in range(len(data))]


def test_images_are_kept_unless_the_config_filters(tmp_path):
    files = write(tmp_path, BOXES, SIZES)
    assert kept(files) == [1, 2, 3, 4]
    assert kept(files, filter_cfg=dict(filter_empty_gt=True)) == [1, 3]
    assert kept(files, filter_cfg=dict(min_size=32)) == [1, 2, 4]


def test_a_test_keeps_every_image(tmp_path):
    files = write(tmp_path, BOXES, SIZES)
    filters = dict(filter_empty_gt=True, min_size=32)
    assert kept(files, filter_cfg=filters, test_mode=True) == [1, 2, 3, 4]


def test_an_image_whose_only_box_is_useless_is_kept_as_background(tmp_path):
    files = write(tmp_path, [box([5, 5, 0, 0]), box([0, 0, 9, 9], image=2)], SIZES[:2])
    assert kept(files, filter_cfg=dict(filter_empty_gt=True)) == [1, 2]


def test_a_filter_that_leaves_no_image_is_refused(tmp_path):
    files = write(tmp_path, [box([0, 0, 9, 9], category=8)])
    with pytest.raises(ValueError, match=r'none of 1 images.*\(cup\)'):
        kept(files, filter_cfg=dict(filter_empty_gt=True))


def test_an_unknown_filter_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no 'filter_empty'.*filter_empty_gt"):
        kept(write(tmp_path, BOXES, SIZES), filter_cfg=dict(filter_empty=True))


def test_test_images_need_no_annotations(tmp_path):
    files = write(tmp_path)
    path = tmp_path / 'boxes.json'
    path.write_text(path.read_text().replace('"annotations"', '"notes"'))
    data = CocoDataset(**files, test_mode=True, pipeline=PIPELINE)
    assert len(data[0]['data_samples'].gt_instances) == 0
    with pytest.raises(ValueError, match="no list 'annotations'"):
        CocoDataset(**files)


def test_a_missing_annotation_file_says_how_to_get_coco(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'absent\.json.*download_coco\.py'):
        CocoDataset('absent.json', data_root=str(tmp_path))


def test_a_missing_folder_of_images_says_how_to_get_coco(tmp_path):
    files = write(tmp_path, [box([0, 0, 9, 9])])
    files['data_prefix'] = dict(img_path='train2017')
    with pytest.raises(FileNotFoundError, match=r'train2017.*download_coco\.py'):
        CocoDataset(**files)


def test_another_key_for_the_folder_of_images_is_refused(tmp_path):
    files = write(tmp_path, [box([0, 0, 9, 9])])
    files['data_prefix'] = dict(img='train2017')
    with pytest.raises(ValueError, match=r"\['img'\] and not 'img_path'"):
        CocoDataset(**files)


def config(tmp_path, name: str, **replaced) -> dict:
    files = write(tmp_path / name, BOXES, SIZES, **replaced)
    cups = dict(classes=('cup', 'tree'))
    return dict(type='CocoDataset', metainfo=cups, pipeline=PIPELINE, **files)


def test_a_data_set_can_be_repeated(tmp_path):
    data = DATASETS.build(
        dict(type='RepeatDataset', times=3, dataset=config(tmp_path, 'a'))
    )
    assert isinstance(data, RepeatDataset)
    assert len(data) == 12
    assert data.metainfo['cat_ids'] == [3, 8]
    assert data[9]['data_samples'].img_id == data[1]['data_samples'].img_id == 2


def test_data_sets_can_be_joined(tmp_path):
    parts = [config(tmp_path, 'a'), config(tmp_path, 'b')]
    data = DATASETS.build(dict(type='ConcatDataset', datasets=parts))
    assert isinstance(data, ConcatDataset)
    assert len(data) == 8
    assert data.metainfo['classes'] == ('cup', 'tree')
    assert data[5]['data_samples'].img_path == str(tmp_path / 'b' / '2.png')
    assert data[5]['data_samples'].gt_instances.labels.tolist() == [1]


def test_data_sets_of_other_classes_cannot_be_joined(tmp_path):
    parts = [config(tmp_path, 'a'), config(tmp_path, 'b')]
    parts[1]['metainfo'] = dict(classes=('cup', 'boat'))
    with pytest.raises(ValueError, match='2-th dataset does not match'):
        DATASETS.build(dict(type='ConcatDataset', datasets=parts))
