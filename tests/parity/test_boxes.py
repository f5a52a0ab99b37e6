"""Anchors, deltas and overlaps against MMDetection's."""

import numpy as np
import pytest
import torch
from torchvision.ops import clip_boxes_to_image

from freeanchor.boxes import (
    AnchorGenerator,
    DeltaBoxCoder,
    centred_inside,
    pairwise_iof,
    pairwise_iou,
)

from .goldens import Case, cases, load


def generator(settings: dict) -> AnchorGenerator:
    return AnchorGenerator(**{k: v for k, v in settings.items() if k != 'type'})


@pytest.mark.parametrize('name', cases('anchors'))
def test_anchors_are_mmdetections(name: str) -> None:
    case = load(name)
    ours = generator(case.info['settings'])
    for level, cell in enumerate(ours.of_cell.anchors):
        np.testing.assert_allclose(cell, case[f'base_anchors_{level}'], atol=1e-4)
    for i, size in enumerate(case.info['sizes']):
        for level, anchors in enumerate(ours(size['levels'])):
            np.testing.assert_allclose(
                anchors, case[f'size{i}/anchors_{level}'], atol=1e-4
            )
            np.testing.assert_array_equal(
                centred_inside(anchors, *size['pad_shape_for_valid']),
                case[f'size{i}/valid_{level}'].astype(bool),
            )


@pytest.mark.parametrize('name', cases('anchors'))
def test_anchors_may_be_centred_in_their_cells(name: str) -> None:
    case = load(name)
    other = case.info['other']
    for level, anchors in enumerate(generator(other['settings'])(other['levels'])):
        np.testing.assert_allclose(anchors, case[f'other/anchors_{level}'], atol=1e-4)


@pytest.fixture(scope='module', params=cases('coder'))
def case(request: pytest.FixtureRequest) -> Case:
    return load(request.param)


def test_deltas_are_mmdetections(case: Case) -> None:
    source, target, deltas = (
        torch.from_numpy(case[k]) for k in ('source', 'target', 'deltas')
    )
    rows = case['encode_rows']
    for name, settings in case.info['coders'].items():
        coder = DeltaBoxCoder(settings['target_stds'], settings['target_means'])
        encoded = coder.encode(source[rows], target[rows])
        np.testing.assert_allclose(encoded, case[f'{name}/encoded'], atol=1e-5)
        decoded = coder.decode(source, deltas)
        np.testing.assert_allclose(decoded, case[f'{name}/decoded'], atol=1e-3)
        inside = clip_boxes_to_image(decoded, (250, 330))
        np.testing.assert_allclose(
            inside, case[f'{name}/decoded_inside_250x330'], atol=1e-3
        )


def test_overlaps_are_mmdetections(case: Case) -> None:
    source, target = torch.from_numpy(case['source']), torch.from_numpy(case['target'])
    # Boxes without area have no overlap with themselves: 0/0 there, 0 with eps.
    ious = pairwise_iou(source, target).nan_to_num(0)
    np.testing.assert_allclose(ious, case['iou'], atol=1e-5)
    np.testing.assert_allclose(pairwise_iof(source, target), case['iof'], atol=1e-5)
