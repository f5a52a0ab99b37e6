import pytest
import torch

from freeanchor.boxes import Scoring

LOGITS = torch.linspace(-9, 9, 181, dtype=torch.float64)
POWERS = [(1.0, 0.0), (1.0, 1.0), (0.5, 0.5), (2.0, 0.3)]


def grid() -> tuple[torch.Tensor, torch.Tensor]:
    """Every logit of a class with every logit of quality, ``(181, 181)``."""
    p, q = torch.meshgrid(LOGITS, LOGITS, indexing='ij')
    return p, q


def test_the_geometric_mean_is_the_root_of_the_product() -> None:
    logits, quality = grid()
    scoring = Scoring((0.5, 0.5), (0.5, 0.5))
    rank, score = scoring.rank_and_score(logits.sigmoid(), quality)
    truth = (logits.sigmoid() * quality.sigmoid()).sqrt()
    torch.testing.assert_close(rank, truth)
    torch.testing.assert_close(score, truth)


def test_by_default_entries_rank_by_class_and_score_by_the_product() -> None:
    logits, quality = grid()
    p = logits.sigmoid()
    rank, score = Scoring().rank_and_score(p, quality)
    assert torch.equal(rank, p)
    torch.testing.assert_close(score, p * quality.sigmoid())


@pytest.mark.parametrize('powers', POWERS)
def test_without_quality_the_class_score_is_both(powers: tuple) -> None:
    p = LOGITS.sigmoid()
    rank, score = Scoring(powers, powers).rank_and_score(p, None)
    assert torch.equal(rank, p)
    assert torch.equal(score, p)


@pytest.mark.parametrize('powers', POWERS)
def test_the_order_is_that_of_ranks(powers: tuple) -> None:
    logits, quality = (x.flatten() for x in grid())
    scoring = Scoring(rank_powers=powers)
    rank, _ = scoring.rank_and_score(logits.sigmoid(), quality)
    order = scoring.order(logits[:, None], quality[:, None])[:, 0]
    by_order = rank[order.argsort()]
    assert (by_order.diff() >= -1e-12).all()


@pytest.mark.parametrize('powers', POWERS)
@pytest.mark.parametrize('score_thr', [0.0, 0.05, 0.5])
def test_nothing_below_the_least_class_score_ranks_above_the_threshold(
    powers: tuple, score_thr: float
) -> None:
    logits, quality = grid()
    scoring = Scoring(rank_powers=powers)
    rank, _ = scoring.rank_and_score(logits.sigmoid(), quality)
    least = scoring.least_class_score(score_thr)
    assert (logits.sigmoid()[rank > score_thr] >= least).all()


@pytest.mark.parametrize('powers', [(0.0, 1.0), (1.0, -1.0), (1.0,), (-1.0, 1.0)])
def test_powers_that_make_no_ranking_are_refused(powers: tuple) -> None:
    with pytest.raises(ValueError, match='score_powers'):
        Scoring(score_powers=powers)
