import math
from typing import Any

import pytest
import torch
from torch import Tensor

from freeanchor.boxes import AnchorGenerator, DeltaBoxCoder, Scoring
from freeanchor.boxes.candidates import (
    Candidates,
    dense_candidates,
    lowest_logit,
    sparse_candidates,
)

LIMITS = torch.tensor([[64.0, 48.0], [50.0, 64.0], [64.0, 64.0]])
CODER = DeltaBoxCoder((0.1, 0.1, 0.2, 0.2))
GEOMETRIC_MEAN = Scoring((0.5, 0.5), (0.5, 0.5))
SCORINGS = [Scoring(), GEOMETRIC_MEAN, Scoring((0.6, 0.2), (1.0, 0.5))]


def levels(
    dtype: torch.dtype = torch.float32,
    layout: torch.memory_format = torch.channels_last,
    num_classes: int = 3,
    mean: float = -3.0,
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Two levels of a batch of three as a head gives them: views of its maps."""
    generator = torch.Generator().manual_seed(0)
    anchors = AnchorGenerator([8, 16], scales_per_octave=2)
    sizes = [(8, 8), (4, 4)]

    def view(width: int, mean: float, size: tuple[int, int]) -> Tensor:
        shape = (3, anchors.num_anchors * width, *size)
        x = mean + torch.randn(shape, generator=generator)
        x = x.to(dtype).contiguous(memory_format=layout)
        x = x.unflatten(1, (anchors.num_anchors, width)).flatten(3)
        return x.permute(0, 3, 1, 2)

    return [
        (view(num_classes, mean, size), view(4, 0.0, size), level)
        for size, level in zip(sizes, anchors(sizes))
    ]


def quality_of(given: list[tuple[Tensor, Tensor, Tensor]]) -> list[Tensor]:
    """Logits of quality for each anchor of each level."""
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(*x.shape[:-1], 1, generator=generator).to(x.dtype)
        for x, _, _ in given
    ]


def rows(found: Candidates) -> Tensor:
    """Kept rows as numbers, in an order of their own."""
    kept = found.image < len(LIMITS)
    table = torch.cat(
        [
            found.image[kept, None],
            found.labels[kept, None],
            found.scores[kept, None],
            found.boxes[kept],
        ],
        dim=1,
    )
    return torch.tensor(sorted(table.tolist())).reshape(-1, 7)


@pytest.mark.parametrize('nms_pre', [5, 1000])
@pytest.mark.parametrize('score_thr', [0.0, 0.05, 0.6])
@pytest.mark.parametrize('layout', [torch.channels_last, torch.contiguous_format])
def test_both_ways_find_the_same_rows(
    nms_pre: int, score_thr: float, layout: torch.memory_format
) -> None:
    given = levels(layout=layout)
    sparse = sparse_candidates(given, CODER, LIMITS, score_thr, nms_pre)
    dense = dense_candidates(given, CODER, LIMITS, score_thr, nms_pre)
    torch.testing.assert_close(rows(sparse), rows(dense), atol=1e-5, rtol=0)


@pytest.mark.parametrize('nms_pre', [5, 1000])
@pytest.mark.parametrize('score_thr', [0.0, 0.05, 0.4])
@pytest.mark.parametrize('scoring', SCORINGS)
def test_both_ways_find_the_same_rows_where_boxes_have_a_quality(
    nms_pre: int, score_thr: float, scoring: Scoring
) -> None:
    given = levels()
    settings = CODER, LIMITS, score_thr, nms_pre, quality_of(given), scoring
    sparse, dense = (f(given, *settings) for f in (sparse_candidates, dense_candidates))
    assert len(sparse.scores) >= 10
    torch.testing.assert_close(rows(sparse), rows(dense), atol=1e-5, rtol=0)


@pytest.mark.parametrize('find', [sparse_candidates, dense_candidates])
def test_the_threshold_and_the_limit_go_by_rank_not_by_score(find: Any) -> None:
    # Two anchors: one is surer of its class, the other of its box.
    box = torch.tensor([[0.0, 0.0, 8.0, 8.0], [20.0, 20.0, 30.0, 30.0]])
    level = (torch.tensor([[[2.0], [1.0]]]), torch.zeros(1, 2, 4), box)
    quality = [torch.tensor([[[-2.0], [3.0]]])]
    sure = torch.tensor([2.0, 1.0]).sigmoid()
    good = torch.tensor([-2.0, 3.0]).sigmoid()

    def kept(score_thr: float, scoring: Scoring) -> tuple[float, float]:
        found = find([level], CODER, LIMITS[:1], score_thr, 1, quality, scoring)
        row = int((found.image == 0).nonzero())
        return found.boxes[row, 0].item(), found.scores[row].item()

    product = (sure * good).tolist()
    assert kept(0.5, Scoring()) == pytest.approx((0.0, product[0]))
    mean = (sure * good).sqrt().tolist()
    assert kept(0.5, GEOMETRIC_MEAN) == pytest.approx((20.0, mean[1]))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_the_layout_does_not_matter(dtype: torch.dtype) -> None:
    found = [
        sparse_candidates(levels(dtype, layout), CODER, LIMITS, 0.1, 20)
        for layout in (torch.channels_last, torch.contiguous_format)
    ]
    for name in ('boxes', 'scores', 'labels', 'image'):
        first, second = (getattr(x, name) for x in found)
        assert torch.equal(first, second), name


def test_dense_rows_do_not_depend_on_values() -> None:
    counts = {
        len(dense_candidates(levels(mean=m), CODER, LIMITS, 0.5, 10).scores)
        for m in (-9.0, 0.0, 9.0)
    }
    assert counts == {3 * 2 * 10}


def test_a_score_at_the_threshold_is_no_candidate() -> None:
    values = torch.linspace(-3, 3, 64)
    logits = values[None, :, None]
    box = torch.tensor([[0.0, 0.0, 8.0, 8.0]]).expand(64, 4)
    for at in (0, 20, 63):
        score_thr = values.sigmoid()[at].item()
        above = int((values.sigmoid() > score_thr).sum())
        for find in (sparse_candidates, dense_candidates):
            level = (logits, torch.zeros(1, 64, 4), box)
            found = find([level], CODER, LIMITS[:1], score_thr, 64)
            assert int((found.image == 0).sum()) == above


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize('score_thr', [1e-6, 0.05, 0.5, 0.95, 1 - 1e-6])
def test_no_candidate_is_below_the_lowest_logit(
    score_thr: float, dtype: torch.dtype
) -> None:
    around = math.log(score_thr / (1 - score_thr))
    logits = torch.linspace(around - 4, around + 1, 10_001).to(dtype)
    above = logits.float().sigmoid() > score_thr
    assert (logits > lowest_logit(score_thr, dtype))[above].all()
    assert not (logits > lowest_logit(score_thr, dtype)).all()


def test_equal_scores_are_taken_in_the_order_of_anchors() -> None:
    anchors = torch.tensor([[x, 0.0, x + 4, 4] for x in range(0, 40, 4)])
    level = (torch.zeros(1, 10, 2), torch.zeros(1, 10, 4), anchors)
    found = sparse_candidates([level], CODER, LIMITS[:1], 0.1, 3)
    assert found.boxes[:, 0].tolist() == [0, 0, 4]
    assert found.labels.tolist() == [0, 1, 0]
