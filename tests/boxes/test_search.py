"""Both searches against comparing all with all."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from freeanchor.boxes import (
    IGNORED,
    AnchorGenerator,
    assign_by_iou,
    max_iou_assign,
    most_overlapping,
    overlapping,
    pairwise_iou,
)

SIZE = 256


def anchors(strides: tuple[int, ...] = (8, 16, 32)) -> Tensor:
    return torch.cat(
        AnchorGenerator(strides)([(SIZE // s, SIZE // s) for s in strides])
    )


def objects(number: int, seed: int, grid: float = 0.0) -> Tensor:
    """Boxes of 2 to 200 pixels; on a grid, many overlaps are equal."""
    generator = torch.Generator().manual_seed(seed)
    corner = SIZE * torch.rand(number, 2, generator=generator)
    sides = 2 * 10 ** (2 * torch.rand(number, 2, generator=generator))
    if grid:
        corner, sides = grid * (corner / grid).round(), grid * (sides / grid).ceil()
    return torch.cat([corner, corner + sides], dim=1)


def pixels(boxes: list) -> Tensor:
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)


SCENES = {
    'scattered': objects(40, seed=0),
    'on a grid, so that anchors are equally good': objects(40, seed=1, grid=8.0),
    'more than are compared at once': objects(70, seed=2),
    'none': objects(0, seed=0),
    'far outside, where nothing overlaps': pixels([[9000, 9000, 9010, 9010]]),
    'smaller than a pixel': pixels([[100.2, 100.2, 100.3, 100.9]]),
    'larger than the image': pixels([[-500, -500, 1000, 1000]]),
}


@pytest.mark.parametrize('scene', SCENES)
@pytest.mark.parametrize('threshold', [0.0, 0.4, 0.6, 0.95])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_all_pairs_above_a_threshold_are_found(
    scene: str, threshold: float, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(3)
    boxes = anchors().to(dtype)
    boxes = boxes + 3 * torch.randn(boxes.shape, generator=generator).to(dtype)
    own = SCENES[scene].to(dtype)
    ious = pairwise_iou(own, boxes)
    object_, box = (ious > threshold).nonzero(as_tuple=True)
    found = overlapping(boxes, own, threshold)
    assert torch.equal(found[0], object_)
    assert torch.equal(found[1], box)
    assert torch.equal(found[2], ious[object_, box])


def test_each_object_can_have_a_threshold_of_its_own() -> None:
    own, thresholds = objects(9, seed=5), torch.linspace(0, 0.8, 9)
    expected = (pairwise_iou(own, anchors()) > thresholds[:, None]).nonzero()
    found = torch.stack(overlapping(anchors(), own, thresholds)[:2], dim=1)
    assert torch.equal(found, expected)


@pytest.mark.parametrize('scene', SCENES)
@pytest.mark.parametrize('number', [1, 9, 50])
def test_the_best_are_those_topk_takes_of_all(scene: str, number: int) -> None:
    found = most_overlapping(anchors(), SCENES[scene], number)
    ious = pairwise_iou(SCENES[scene], anchors())
    expected = ious.topk(number, dim=1, sorted=False).indices
    assert torch.equal(found.sort(dim=1).values, expected.sort(dim=1).values)


def test_scenes_show_equal_overlaps_at_the_end_of_a_bag() -> None:
    grid = SCENES['on a grid, so that anchors are equally good']
    best = pairwise_iou(grid, anchors()).topk(51, dim=1).values
    assert (best[:, 49] == best[:, 50]).sum() > 10


@given(st.integers(0, 2**31), st.integers(1, 60), st.sampled_from([0.0, 1.0, 16.0]))
@settings(max_examples=25, deadline=None)
def test_any_objects_find_their_best(seed: int, number: int, grid: float) -> None:
    own = objects(5, seed, grid)
    found = most_overlapping(anchors(), own, number).sort(dim=1).values
    expected = pairwise_iou(own, anchors()).topk(number, dim=1, sorted=False).indices
    assert torch.equal(found, expected.sort(dim=1).values)


def test_fewer_boxes_than_asked_for_are_all_taken() -> None:
    few = anchors((32,))[:20]
    assert most_overlapping(few, objects(3, seed=0), 50).shape == (3, 20)


@pytest.mark.parametrize('scene', SCENES)
@pytest.mark.parametrize('neg_iou', [0.3, 0.4, 0.5])
def test_assignment_is_that_of_all_overlaps(scene: str, neg_iou: float) -> None:
    own = SCENES[scene]
    expected = max_iou_assign(pairwise_iou(own, anchors()), 0.5, neg_iou)
    valid = torch.ones(len(anchors()), dtype=torch.bool)
    assert torch.equal(assign_by_iou(anchors(), own, valid, 0.5, neg_iou), expected)


def test_a_box_given_twice_is_assigned_as_if_all_were_compared() -> None:
    own = objects(6, seed=4)[[0, 1, 1, 2, 0]]
    expected = max_iou_assign(pairwise_iou(own, anchors()))
    valid = torch.ones(len(anchors()), dtype=torch.bool)
    assert torch.equal(assign_by_iou(anchors(), own, valid), expected)


def test_anchors_that_are_not_valid_are_ignored_and_best_for_no_object() -> None:
    own, valid = objects(20, seed=6), torch.arange(len(anchors())) % 3 > 0
    ious = pairwise_iou(own, anchors()).where(valid, -1)
    expected = max_iou_assign(ious).where(valid, IGNORED)
    assert torch.equal(assign_by_iou(anchors(), own, valid), expected)


def test_a_box_that_is_no_number_hides_no_other() -> None:
    boxes, own = anchors().clone(), objects(10, seed=7)
    boxes[::100] = torch.nan
    boxes[50::100, 2:] = torch.inf
    ious = pairwise_iou(own, boxes)
    object_, box = (ious > 0.5).nonzero(as_tuple=True)
    found = overlapping(boxes, own, 0.5)
    assert torch.equal(found[0], object_)
    assert torch.equal(found[1], box)
