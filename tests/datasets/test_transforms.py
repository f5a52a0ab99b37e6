import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import TRANSFORMS as MMCV_TRANSFORMS

from freeanchor.datasets import CocoDataset
from freeanchor.registry import TRANSFORMS

from .coco_files import FLIP, LOAD, PACK, RESIZE, box, write

# A box over the image's edge, a crowd, a box, in an image of 80 x 60
BOXES = [box([70, 50, 20, 20]), box([0, 0, 40, 30], iscrowd=1), box([10, 20, 30, 40])]


def sample(tmp_path, *pipeline: dict) -> dict:
    return CocoDataset(**write(tmp_path, BOXES), pipeline=[*LOAD, *pipeline, PACK])[0]


def test_a_sample_has_the_image_and_what_is_on_it(tmp_path):
    packed = sample(tmp_path, RESIZE)
    assert packed['inputs'].dtype == torch.uint8
    assert packed['inputs'].shape == (3, 120, 160)
    objects, ignored = (
        packed['data_samples'].get(x) for x in ('gt_instances', 'ignored_instances')
    )
    # cut at the edge, in pixels of the resized image
    assert objects.bboxes.tolist() == [[140, 100, 160, 120], [20, 40, 80, 120]]
    assert ignored.bboxes.tolist() == [[0, 0, 80, 60]]
    assert objects.ann_ids.tolist() == [100, 102]
    assert ignored.ann_ids.tolist() == [101]
    for found in (objects, ignored):
        assert found.bboxes.dtype == torch.float32
        assert found.labels.dtype == found.ann_ids.dtype == torch.int64


def test_a_sample_knows_where_it_comes_from(tmp_path):
    info = sample(tmp_path, RESIZE, FLIP)['data_samples'].metainfo
    assert info == dict(
        img_id=1,
        img_path=str(tmp_path / '1.png'),
        ori_shape=(60, 80),
        img_shape=(120, 160),
        scale_factor=(2.0, 2.0),
        flip=True,
        flip_direction='horizontal',
    )


def test_ignored_boxes_are_flipped_too(tmp_path):
    found = sample(tmp_path, RESIZE, FLIP)['data_samples']
    assert found.ignored_instances.bboxes.tolist() == [[80, 0, 160, 60]]
    assert found.gt_instances.bboxes.tolist() == [
        [0, 100, 20, 120],
        [80, 40, 140, 120],
    ]


@pytest.mark.parametrize(
    'resize',
    [
        dict(type='RandomResize', scale=[(80, 60), (320, 240)], keep_ratio=True),
        dict(type='RandomChoiceResize', scales=[(80, 60), (320, 240)], keep_ratio=True),
    ],
)
def test_boxes_follow_a_random_size(tmp_path, resize):
    np.random.seed(0)
    data = CocoDataset(**write(tmp_path, BOXES), pipeline=[*LOAD, resize, PACK])
    widths = set()
    for _ in range(8):
        found = data[0]['data_samples']
        factors = torch.tensor(found.scale_factor).repeat(2)
        expected = torch.tensor([[70.0, 50, 80, 60], [10, 20, 40, 60]]) * factors
        torch.testing.assert_close(found.gt_instances.bboxes, expected)
        widths.add(found.img_shape[1])
    assert len(widths) > 1


def test_an_image_without_objects_has_empty_boxes(tmp_path):
    pipeline = [*LOAD, RESIZE, FLIP, PACK]
    found = CocoDataset(**write(tmp_path), pipeline=pipeline)[0]['data_samples']
    for name in ('gt_instances', 'ignored_instances'):
        assert found.get(name).bboxes.shape == (0, 4)
        assert found.get(name).labels.shape == (0,)
        assert found.get(name).ann_ids.shape == (0,)


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
@pytest.mark.parametrize('kind', [np.uint8, np.float32])
def test_a_flip_moves_pixels_and_boxes_as_mmcv_does(direction, kind):
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(kind)
    boxes = np.array([[1, 2, 5, 4]], np.float32)
    flip = dict(type='RandomFlip', prob=1.0, direction=direction)
    ours, plain = (
        build(dict(img=image.copy(), gt_bboxes=boxes.copy()))
        for build in (TRANSFORMS.build(flip), MMCV_TRANSFORMS.build(flip))
    )
    np.testing.assert_array_equal(ours['img'], plain['img'])
    np.testing.assert_array_equal(ours['gt_bboxes'], plain['gt_bboxes'])
    assert ours['flip_direction'] == plain['flip_direction'] == direction
    assert ours['img'].flags.c_contiguous


def test_an_image_that_is_not_flipped_is_not_copied():
    image = np.zeros((6, 8, 3), np.uint8)
    flip = TRANSFORMS.build(dict(type='RandomFlip', prob=0.0))
    assert flip(dict(img=image))['img'] is image


def test_packing_does_not_copy_the_image():
    image = np.zeros((6, 8, 3), np.uint8)
    inputs = TRANSFORMS.build(PACK)(dict(img=image))['inputs']
    image[1, 2] = (7, 8, 9)
    assert inputs[:, 1, 2].tolist() == [7, 8, 9]


def test_an_image_that_lies_backwards_can_be_packed():
    image = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    inputs = TRANSFORMS.build(PACK)(dict(img=image[:, ::-1]))['inputs']
    assert inputs.shape == (3, 6, 8)
    np.testing.assert_array_equal(inputs.permute(1, 2, 0), image[:, ::-1])


def test_a_pipeline_without_annotations_packs_none(tmp_path):
    data = CocoDataset(**write(tmp_path, BOXES), pipeline=[LOAD[0], RESIZE, PACK])
    assert 'gt_instances' not in data[0]['data_samples']


def test_a_missing_image_is_named(tmp_path):
    data = CocoDataset(**write(tmp_path, BOXES), pipeline=LOAD, strict=True)
    (tmp_path / '1.png').unlink()
    with pytest.raises(FileNotFoundError, match=r"no image '.*1\.png'"):
        data[0]


@pytest.mark.parametrize('content', [b'', b'<html>gone</html>', None])
def test_an_image_that_does_not_decode_is_named(tmp_path, content):
    data = CocoDataset(**write(tmp_path, BOXES), pipeline=LOAD, test_mode=True)
    path = tmp_path / '1.png'
    path.write_bytes(path.read_bytes()[:20] if content is None else content)
    with pytest.raises(ValueError, match=r"'.*1\.png' cannot be decoded"):
        data[0]


def test_an_image_of_another_size_than_annotated_is_refused(tmp_path):
    data = CocoDataset(**write(tmp_path, BOXES), pipeline=LOAD)
    cv2.imwrite(str(tmp_path / '1.png'), np.zeros((80, 60, 3), np.uint8))
    with pytest.raises(ValueError, match=r'1\.png.* 60 x 80 pixels.* for 80 x 60'):
        data[0]


def test_a_transform_that_forgets_the_flags_is_found_out(tmp_path):
    def drop_first(results: dict) -> dict:
        results['gt_bboxes'] = results['gt_bboxes'][1:]
        return results

    files = write(tmp_path, BOXES)
    data = CocoDataset(**files, pipeline=[*LOAD, drop_first, PACK])
    with pytest.raises(ValueError, match=r'1\.png.*2 boxes but 3 labels and 3 ignore'):
        data[0]


def test_annotation_ids_stay_with_their_boxes_where_thin_ones_are_dropped(tmp_path):
    boxes = [box([5, 5, 1.5, 9]), box([10, 20, 30, 40]), box([0, 0, 9, 9])]
    half = dict(type='Resize', scale=(40, 30), keep_ratio=True)
    files = write(tmp_path, boxes)
    found = CocoDataset(**files, pipeline=[*LOAD, half, PACK])[0]['data_samples']
    assert found.num_thin_boxes == 1
    assert found.gt_instances.ann_ids.tolist() == [101, 102]
    assert found.gt_instances.bboxes.tolist() == [[5, 10, 20, 30], [0, 0, 4.5, 4.5]]


def test_a_transform_that_drops_boxes_need_not_know_of_annotation_ids(tmp_path):
    def drop_first(results: dict) -> dict:
        for key in ('gt_bboxes', 'gt_bboxes_labels', 'gt_ignore_flags'):
            results[key] = results[key][1:]
        return results

    files = write(tmp_path, BOXES)
    found = CocoDataset(**files, pipeline=[*LOAD, drop_first, PACK])[0]['data_samples']
    assert len(found.gt_instances) == 1
    assert 'ann_ids' not in found.gt_instances


@pytest.mark.parametrize('own', [{}, dict(ann_id='a'), dict(ann_id=None)])
def test_instances_without_a_number_as_id_have_none(own):
    instance = dict(bbox=[1, 2, 9, 9], bbox_label=0, **own)
    results = TRANSFORMS.build(LOAD[1])(dict(instances=[instance]))
    assert len(results['gt_bboxes']) == 1
    assert 'gt_ann_ids' not in results


def test_what_is_noted_on_a_sample_can_be_chosen(tmp_path):
    pack = dict(type='PackDetInputs', meta_keys=('img_id', 'scale'))
    data = CocoDataset(**write(tmp_path, BOXES), pipeline=[LOAD[0], RESIZE, pack])
    assert data[0]['data_samples'].metainfo == dict(img_id=1, scale=(160, 120))


@pytest.mark.parametrize('name', ['LoadImageFromFile', 'LoadAnnotations', 'RandomFlip'])
def test_configs_that_name_mmcv_steps_get_ours(name):
    assert TRANSFORMS.get(name).__module__.startswith('freeanchor.datasets.')
