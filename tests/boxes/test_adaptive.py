"""ATSS's assignment against loops written from the paper's algorithm 1."""

import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from freeanchor.boxes import AnchorGenerator, atss_assign, pairwise_iou

SIZES = [(8, 8), (4, 4), (2, 2)]


def anchors_of(per_cell: int) -> list[Tensor]:
    """Three levels of a 64 x 64 image, ``(P_l, K, 4)`` each."""
    ratios = [1.0] if per_cell == 1 else [0.5, 2.0]
    generator = AnchorGenerator([8, 16, 32], ratios, scales_per_octave=1)
    return [x.unflatten(0, (-1, per_cell)) for x in generator(SIZES)]


def all_valid(levels: list[Tensor], num_images: int) -> Tensor:
    return torch.ones(num_images, sum(x.shape[:2].numel() for x in levels)).bool()


def given_to(
    levels: list[Tensor], boxes: Tensor, image: Tensor, valid: Tensor, topk: int
) -> dict[tuple[int, int], int]:
    """The object of each image and anchor that has one."""
    found = atss_assign(levels, boxes, image, valid, topk)
    rows = found.positive.nonzero()[:, 0]
    places = list(zip(image[rows].tolist(), found.anchor[found.positive].tolist()))
    assert len(places) == len(set(places)), 'an anchor has two objects'
    return dict(zip(places, rows.tolist()))


def by_the_paper(
    levels: list[Tensor], boxes: Tensor, image: Tensor, valid: Tensor, topk: int
) -> dict[tuple[int, int], int]:
    best: dict[tuple[int, int], tuple[float, int]] = {}
    flat = torch.cat([x.flatten(0, 1) for x in levels])
    ious, rows = pairwise_iou(boxes, flat).tolist(), flat.tolist()
    for g, box in enumerate(boxes.tolist()):
        candidates = candidates_of(levels, rows, box, valid[image[g]].tolist(), topk)
        near = [ious[g][a] for a in candidates]
        if not near:
            continue
        spread = statistics.stdev(near) if len(near) > 1 else 0.0
        threshold = statistics.fmean(near) + spread - 1e-6
        for a in candidates:
            (cx, cy), (x1, y1, x2, y2) = centre(rows[a]), box
            inside = min(cx - x1, cy - y1, x2 - cx, y2 - cy) > 0.01
            place = int(image[g]), a
            if inside and ious[g][a] >= max(threshold, best.get(place, (-1.0, 0))[0]):
                best[place] = ious[g][a], g
    return {place: g for place, (_, g) in best.items()}


def candidates_of(
    levels: list[Tensor], rows: list, box: list, valid: list, topk: int
) -> list[int]:
    """Lines 3 to 6 of the algorithm: the nearest anchors of each level."""
    found, start = [], 0
    for positions, per_cell, _ in (x.shape for x in levels):
        cells = [
            range(start + p * per_cell, start + (p + 1) * per_cell)
            for p in range(positions)
        ]
        cells = [own for own in cells if any(valid[a] for a in own)]
        cells.sort(key=lambda own: math.dist(centre(rows[own[0]]), centre(box)))
        found += [a for own in cells[:topk] for a in own if valid[a]]
        start += positions * per_cell
    return found


def centre(box: list[float]) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def scene(seed: int, count: int) -> tuple[Tensor, Tensor]:
    """Boxes at odd places, so that no two centres are equally near."""
    generator = torch.Generator().manual_seed(seed)
    corners = 60 * torch.rand(count, 2, generator=generator) - 5
    sides = 2 + 50 * torch.rand(count, 2, generator=generator) ** 2
    image = torch.randint(0, 2, (count,), generator=generator).sort().values
    return torch.cat([corners, corners + sides], dim=1), image


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**20),
    st.integers(0, 12),
    st.sampled_from([1, 2]),
    st.sampled_from([1, 3, 9, 100]),
)
def test_assignments_are_the_papers(
    seed: int, count: int, per_cell: int, topk: int
) -> None:
    levels, (boxes, image) = anchors_of(per_cell), scene(seed, count)
    valid = all_valid(levels, 2)
    ours = given_to(levels, boxes, image, valid, topk)
    assert ours == by_the_paper(levels, boxes, image, valid, topk)


@pytest.mark.parametrize('seed', range(5))
def test_anchors_that_do_not_count_are_as_if_they_were_not_there(seed: int) -> None:
    levels, (boxes, image) = anchors_of(1), scene(seed, 10)
    valid = all_valid(levels, 2)
    centres = torch.cat([x.flatten(0, 1) for x in levels]).unflatten(1, (2, 2)).mean(1)
    valid[0] = centres[:, 0] < 30  # the left of the first image
    ours = given_to(levels, boxes, image, valid, 9)
    assert ours
    assert all(valid[place] for place in ours)
    assert ours == by_the_paper(levels, boxes, image, valid, 9)


def test_images_of_a_batch_do_not_matter_to_each_other() -> None:
    levels, (boxes, image) = anchors_of(1), scene(3, 12)
    together = given_to(levels, boxes, image, all_valid(levels, 2), 9)
    for i in range(2):
        own = image == i
        alone = given_to(levels, boxes[own], image[own] * 0, all_valid(levels, 1), 9)
        first = int(own.nonzero()[0])
        assert {(i, a): g + first for (_, a), g in alone.items()} == {
            place: g for place, g in together.items() if place[0] == i
        }


def test_the_object_that_overlaps_more_gets_a_contested_anchor() -> None:
    levels = [torch.tensor([[[0.0, 0.0, 16.0, 16.0]]])]
    boxes = torch.tensor([[0.0, 0.0, 16.0, 40.0], [1.0, 1.0, 17.0, 17.0]])
    for order in ([0, 1], [1, 0]):
        own = boxes[order]
        found = given_to(levels, own, torch.zeros(2).long(), all_valid(levels, 1), 9)
        assert order[found[0, 0]] == 1


def test_of_two_equal_objects_the_first_gets_the_anchors() -> None:
    levels = anchors_of(1)
    boxes = torch.tensor([[3.0, 5.0, 43.0, 41.0]]).expand(2, 4)
    found = given_to(levels, boxes, torch.zeros(2).long(), all_valid(levels, 1), 9)
    assert set(found.values()) == {0}


def test_anchors_that_overlap_equally_are_all_taken() -> None:
    """Their deviation is 0 but for rounding, which must not choose."""
    level = anchors_of(1)[0]
    box = torch.tensor([[-100.1, -100.3, 170.7, 170.9]])
    found = atss_assign([level], box, torch.zeros(1).long(), all_valid([level], 1), 64)
    assert found.positive.sum() == 64


def test_an_object_without_any_anchor_inside_gets_none() -> None:
    levels = anchors_of(1)
    box = torch.tensor([[9.0, 9.0, 15.0, 15.0]])  # centres are multiples of 8
    found = atss_assign(levels, box, torch.zeros(1).long(), all_valid(levels, 1), 9)
    assert not found.positive.any()
    assert found.anchor.shape == (1, 9 + 9 + 4)


def test_no_objects_are_no_rows() -> None:
    levels = anchors_of(2)
    found = atss_assign(
        levels, torch.zeros(0, 4), torch.zeros(0).long(), all_valid(levels, 3), 9
    )
    assert found.anchor.shape == found.positive.shape == (0, 2 * (9 + 9 + 4))
