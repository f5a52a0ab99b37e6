"""Images and boxes as MMDetection's pipeline hands them to the network."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from freeanchor.datasets import CocoDataset
from freeanchor.models.preprocessor import DetDataPreprocessor

from . import goldens

LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]
RESIZE = dict(type='Resize', scale=(1333, 800), keep_ratio=True)
PACK = dict(type='PackDetInputs')
PIPELINES = {
    'plain': [*LOAD, RESIZE, PACK],
    'flipped': [*LOAD, RESIZE, dict(type='RandomFlip', prob=1.0), PACK],
    # MMDetection's test pipeline reads boxes after resizing: they stay as annotated.
    'test': [LOAD[0], RESIZE, LOAD[1], PACK],
    'pair': [LOAD[0], RESIZE, LOAD[1], PACK],
}
TRAINING_FILTER = dict(filter_empty_gt=True, min_size=32)


@pytest.fixture(scope='module')
def golden() -> goldens.Case:
    return goldens.load('pipeline')


@pytest.fixture(scope='module')
def annotations(tmp_path_factory) -> Path:
    """The annotation file without the boxes marked ``ignore``.

    MMDetection drops those; here they are ignored regions, beside the crowds.
    """
    file = json.loads(
        (goldens.folder() / 'pipeline_images/annotations.json').read_text()
    )
    file['annotations'] = [x for x in file['annotations'] if not x.get('ignore')]
    path = tmp_path_factory.mktemp('pipeline') / 'annotations.json'
    path.write_text(json.dumps(file))
    return path


def dataset(golden: goldens.Case, ann_file: Path, **kwargs) -> CocoDataset:
    return CocoDataset(
        str(ann_file),
        metainfo=dict(classes=golden.info['classes']),
        data_prefix=dict(img_path=str(goldens.folder() / 'pipeline_images')),
        **kwargs,
    )


@pytest.fixture(scope='module')
def batches(golden, annotations) -> dict[str, dict]:
    """Per pipeline and image id, the preprocessed batch and the row in it."""
    preprocess = DetDataPreprocessor(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    )
    found = {}
    for kind, pipeline in PIPELINES.items():
        data = dataset(golden, annotations, pipeline=pipeline, test_mode=True)
        names = [x for x in golden.info['images'] if x.startswith(f'{kind}/')]
        ids = {data.get_data_info(i)['img_id']: i for i in range(len(data))}
        samples = [data[ids[int(name.split('/')[1])]] for name in names]
        for group in [samples] if kind == 'pair' else [[x] for x in samples]:
            batch = preprocess(
                dict(
                    inputs=[x['inputs'] for x in group],
                    data_samples=[x['data_samples'] for x in group],
                )
            )
            for pixels, sample in zip(batch['inputs'], batch['data_samples']):
                found[f'{kind}/{sample.img_id}'] = (pixels, sample, len(group))
    return found


def test_every_picture_is_compared(golden, batches):
    assert set(batches) == set(golden.info['images'])
    assert {name.split('/')[0] for name in batches} == set(PIPELINES)


def test_pixels_are_the_same(golden, batches):
    for name, (pixels, _, _) in batches.items():
        ours = pixels.double().numpy()
        np.testing.assert_allclose(
            ours[:, ::29, ::29], golden[f'{name}/every_29th'], rtol=0, atol=1e-5
        )
        for moment in ('mean', 'std'):
            np.testing.assert_allclose(
                getattr(ours, moment)(axis=(1, 2)),
                golden[f'{name}/{moment}'],
                rtol=0,
                atol=1e-5,
            )


def test_boxes_and_labels_are_the_same(golden, batches):
    for name, (_, sample, _) in batches.items():
        for kind in ('gt_instances', 'ignored_instances'):
            ours = sample.get(kind)
            np.testing.assert_allclose(
                ours.bboxes, golden[f'{name}/{kind}/bboxes'], rtol=0, atol=1e-3
            )
            np.testing.assert_array_equal(
                ours.labels, golden[f'{name}/{kind}/labels'], err_msg=name
            )
            assert (ours.bboxes.dtype, ours.labels.dtype) == (
                torch.float32,
                torch.int64,
            )


def test_shapes_are_the_same(golden, batches):
    for name, (pixels, sample, images) in batches.items():
        expected = golden.info['images'][name]
        assert [images, *pixels.shape] == expected['batch_shape']
        for key in ('ori_shape', 'img_shape', 'pad_shape', 'batch_input_shape'):
            assert list(sample.get(key)) == expected[key], (name, key)
        assert sample.scale_factor == pytest.approx(expected['scale_factor'])


def test_the_same_pictures_are_kept_for_training(golden):
    data = dataset(
        golden,
        goldens.folder() / 'pipeline_images/annotations.json',
        filter_cfg=TRAINING_FILTER,
    )
    kept = [data.get_data_info(i)['img_id'] for i in range(len(data))]
    assert kept == golden.info['kept_for_training']


def test_boxes_marked_ignore_are_ignored_where_mmdetection_drops_them(golden):
    path = goldens.folder() / 'pipeline_images/annotations.json'
    marked = [x for x in json.loads(path.read_text())['annotations'] if x.get('ignore')]
    assert marked
    data = dataset(golden, path, pipeline=PIPELINES['test'], test_mode=True)
    regions = {
        tuple(box)
        for i in range(len(data))
        for box in data[i]['data_samples'].ignored_instances.bboxes.tolist()
    }
    for annotation in marked:
        x, y, w, h = annotation['bbox']
        assert any(np.allclose(box, (x, y, x + w, y + h), atol=1e-3) for box in regions)
