"""How an anchor's class score and its quality make one score."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Scoring:
    """Products ``p^a * q^b`` of class score ``p`` and quality ``q``.

    One product ranks entries and is compared with the threshold, another is
    the score of what is left. Both are in [0, 1], as ``p`` and ``q`` are. Where
    there is no quality, ``p`` is used for both.

    Args:
        rank_powers: ``a`` and ``b`` of what entries are ranked by: (1, 0) for
            the class score alone, as in ATSS, https://arxiv.org/abs/1912.02424;
            (0.5, 0.5) for the geometric mean, as in PAA,
            https://arxiv.org/abs/2007.08103.
        score_powers: ``a`` and ``b`` of the score: (1, 1) for the product, as
            in MMDetection's ATSS; (0.5, 0.5) in PAA.

    Raises:
        ValueError: A power is negative, or that of a class score not positive.
    """

    rank_powers: tuple[float, float] = (1.0, 0.0)
    score_powers: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        for name in ('rank_powers', 'score_powers'):
            powers = getattr(self, name)
            if len(powers) != 2 or powers[0] <= 0 or powers[1] < 0:
                raise ValueError(
                    f'test_cfg.{name}={powers}: give two powers, of the class score, '
                    'above 0, and of the quality, at least 0'
                )

    def least_class_score(self, score_thr: float) -> float:
        """A class score below which nothing ranks above ``score_thr``."""
        # Quality is at most 1.
        return max(score_thr, 0.0) ** (1 / self.rank_powers[0])

    def rank_and_score(
        self, class_scores: Tensor, quality: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """What entries are ranked by, and their scores.

        Args:
            class_scores: ``(...)`` in [0, 1].
            quality: ``(...)`` logits; None if there is none.
        """
        if quality is None:
            return class_scores, class_scores
        q = quality.to(class_scores.dtype).sigmoid()
        rank, score = (
            class_scores**a * q**b for a, b in (self.rank_powers, self.score_powers)
        )
        return rank, score

    def order(self, logits: Tensor, quality: Tensor | None) -> Tensor:
        """``(..., C)``, higher where an entry ranks higher.

        Args:
            logits: ``(..., C)``.
            quality: ``(..., 1)`` logits; None if there is none.
        """
        of_class, of_quality = self.rank_powers
        if quality is None or of_quality == 0:
            return logits
        wide = torch.promote_types(logits.dtype, torch.float32)
        log_p, log_q = (F.logsigmoid(x.to(wide)) for x in (logits, quality))
        return of_class * log_p + of_quality * log_q


PRODUCT = Scoring()
"""Ranked by the class score; the score is the product."""
