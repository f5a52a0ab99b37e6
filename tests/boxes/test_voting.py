import math

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from freeanchor.boxes.candidates import Candidates
from freeanchor.boxes.select_batch import select_batch
from freeanchor.boxes.voting import vote

from .test_candidates import CODER, LIMITS, levels, quality_of
from .test_select_batch import one_by_one

SIGMA = 0.025


def crowd(number: int = 60) -> Candidates:
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(number, 2, generator=generator, dtype=torch.float64) * 40
    sides = torch.rand(number, 2, generator=generator, dtype=torch.float64) * 30 + 5
    return Candidates(
        torch.cat([corner, corner + sides], dim=1),
        torch.rand(number, generator=generator, dtype=torch.float64),
        torch.randint(3, (number,), generator=generator),
        torch.randint(2, (number,), generator=generator),
    )


def voted_by_loops(given: Candidates, row: int, sigma: float) -> list[float]:
    """The average as the paper words it, one candidate after another."""
    total, sums = 0.0, [0.0] * 4
    for other in range(len(given.scores)):
        if given.labels[other] != given.labels[row]:
            continue
        if given.image[other] != given.image[row]:
            continue
        iou = box_iou(given.boxes[row, None], given.boxes[other, None]).item()
        if iou <= 0.01:
            continue
        weight = math.exp(-((1 - iou) ** 2) / sigma) * given.scores[other].item()
        total += weight
        box = given.boxes[other].tolist()
        sums = [x + weight * side for x, side in zip(sums, box)]
    return [x / total for x in sums]


@pytest.mark.parametrize('sigma', [SIGMA, 0.1, 0.5])
def test_votes_are_those_of_loops(sigma: float) -> None:
    given = crowd()
    rows = torch.tensor([3, 0, 17, 59, 30])
    expected = [voted_by_loops(given, int(row), sigma) for row in rows]
    found = vote(given, rows, sigma)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    assert not torch.allclose(found, given.boxes[rows])


def of(boxes: list[list[float]], scores: list[float], labels: list[int]) -> Candidates:
    image = torch.zeros(len(boxes), dtype=torch.long)
    return Candidates(
        torch.tensor(boxes), torch.tensor(scores), torch.tensor(labels), image
    )


def first_of(given: Candidates) -> Tensor:
    return vote(given, torch.tensor([0]), SIGMA)[0]


def test_a_box_alone_stays_where_it_is() -> None:
    boxes = [[10.0, 10.0, 30.0, 30.0], [12.0, 10.0, 32.0, 30.0], [50.0, 50, 60, 60]]
    given = of(boxes, [0.3, 0.9, 0.9], [0, 1, 0])
    torch.testing.assert_close(first_of(given), given.boxes[0])


def test_two_boxes_meet_where_their_scores_say() -> None:
    boxes = [[10.0, 10.0, 30.0, 30.0], [12.0, 10.0, 32.0, 30.0]]
    near = first_of(of(boxes, [0.8, 0.2], [0, 0]))[0]
    nearer = first_of(of(boxes, [0.8, 0.7], [0, 0]))[0]
    assert 10 < near < nearer < 11


def test_no_rows_are_no_boxes() -> None:
    assert vote(crowd(), torch.zeros(0, dtype=torch.long), SIGMA).shape == (0, 4)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_a_batch_votes_as_its_images_one_by_one(dtype: torch.dtype) -> None:
    given = levels(dtype)
    settings = dict(
        rank_powers=(0.5, 0.5), score_powers=(0.5, 0.5), voting_sigma=SIGMA, nms_iou=0.3
    )
    quality = quality_of(given)
    together = select_batch(given, CODER, LIMITS, quality=quality, **settings)
    plain = one_by_one(given, quality, **settings)
    for ours, theirs in zip(together, plain, strict=True):
        for x, y in zip(ours, theirs, strict=True):
            torch.testing.assert_close(x, y)


def test_voting_changes_boxes_and_neither_scores_nor_labels() -> None:
    given = levels()
    with_votes, without = (
        select_batch(given, CODER, LIMITS, voting_sigma=sigma, nms_iou=0.3)
        for sigma in (SIGMA, None)
    )
    for (boxes, *rest), (others, *same) in zip(with_votes, without, strict=True):
        assert all(map(torch.equal, rest, same))
        assert not torch.equal(boxes, others)
