"""What each type of error costs: the AP that mending all of its kind would give back.

The oracles are those of TIDE (Bolya et al. 2020, arXiv 2008.08115, section 2.3), each
applied alone to the detections as they are:

- class, localisation: the detection becomes correct if, of all those with either
  error about the same object, it is the best scored, and goes if it is not; it goes
  too if the object is found already;
- both, duplicate, background: the detection goes;
- missed: the object goes.

Two more say what perfection on one side would give: all false detections below all
correct ones, and no object that is not found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .error_types import Judgement, Scene, Verdict

MENDED = (Verdict.CLASS, Verdict.LOCALISATION)
REMOVED = (Verdict.BOTH, Verdict.DUPLICATE, Verdict.BACKGROUND)
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class _Evidence:
    """All detections that count, and how many objects each class has."""

    labels: np.ndarray  # (D,)
    scores: np.ndarray  # (D,)
    verdicts: np.ndarray  # (D,)
    targets: np.ndarray  # (D,) over the objects of all images
    num_objects: np.ndarray  # (C,)

    def only(self, kept: np.ndarray) -> '_Evidence':
        return replace(
            self,
            labels=self.labels[kept],
            scores=self.scores[kept],
            verdicts=self.verdicts[kept],
            targets=self.targets[kept],
        )


def error_costs(
    scenes: Sequence[Scene], judgements: Sequence[Judgement], num_classes: int
) -> tuple[float, dict[str, float]]:
    """AP at IoU 0.50, and how much more it were without each type of error.

    Args:
        scenes: Objects and detections of each image.
        judgements: Of :func:`freeanchor.evaluation.error_types.judge` of each.
        num_classes: Labels are below this.

    Returns:
        The AP, a fraction, NaN where there is no object; and what each oracle adds,
        by ``'localisation'``, ``'class'``, ``'both'``, ``'duplicate'``,
        ``'background'``, ``'missed'``, ``'false positives'`` and ``'false
        negatives'``. They do not add up: mending one error uncovers another.
    """
    labels = _joined([x.labels for x in scenes])
    crowd = _joined([x.crowd for x in scenes]).astype(bool)
    detected = _joined([x.detected for x in judgements]).astype(bool)
    missed = _joined([x.missed for x in judgements]).astype(bool)
    evidence = _gathered(scenes, judgements, _count(labels[~crowd], num_classes))
    known = evidence.num_objects > 0
    before = _mean_precision(evidence, known)

    fixed = {x: _mended(evidence, x, detected, labels) for x in MENDED}
    fixed |= {x: evidence.only(evidence.verdicts != x) for x in REMOVED}
    costs = {x.name.lower(): _mean_precision(fixed[x], known) for x in sorted(fixed)}
    for name, gone in (('missed', missed), ('false negatives', ~detected & ~crowd)):
        left = evidence.num_objects - _count(labels[gone], num_classes)
        costs[name] = _mean_precision(replace(evidence, num_objects=left), known)
    right = evidence.verdicts == Verdict.CORRECT
    demoted = replace(evidence, scores=np.where(right, evidence.scores, -1.0))
    costs['false positives'] = _mean_precision(demoted, known)
    return before, {name: max(0.0, after - before) for name, after in costs.items()}


def precision_at_recalls(correct: np.ndarray, num_objects: int) -> np.ndarray:
    """``(101,)`` the best precision at recalls 0.00 to 1.00, as COCO has it.

    Args:
        correct: ``(D,)`` bool, the best scored detection first.
        num_objects: Objects to be found, at least 1.
    """
    true = np.cumsum(correct)
    precision = true / np.arange(1, len(true) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(true / num_objects, _RECALLS, side='left')
    return np.append(envelope, 0.0)[place]


def _mean_precision(evidence: _Evidence, known: np.ndarray) -> float:
    """Mean AP of the classes that had objects; without those left with nothing."""
    order = np.argsort(-evidence.scores, kind='stable')
    labels = evidence.labels[order]
    correct = evidence.verdicts[order] == Verdict.CORRECT
    values = []
    for label in np.flatnonzero(known):
        of_class, count = correct[labels == label], int(evidence.num_objects[label])
        if count:
            values.append(precision_at_recalls(of_class, count).mean())
        elif len(of_class):
            values.append(0.0)  # what is left is all wrong
    return float(np.mean(values)) if values else float('nan')


def _mended(
    evidence: _Evidence, kind: Verdict, detected: np.ndarray, labels: np.ndarray
) -> _Evidence:
    """The best about each object made correct, all others of the kind removed."""
    wrong = np.flatnonzero(np.isin(evidence.verdicts, MENDED))
    wrong = wrong[np.argsort(-evidence.scores[wrong], kind='stable')]
    free = wrong[~detected[evidence.targets[wrong]]]
    _, first = np.unique(evidence.targets[free], return_index=True)
    best = free[first]
    best = best[evidence.verdicts[best] == kind]
    verdicts, found = evidence.verdicts.copy(), evidence.labels.copy()
    verdicts[best] = Verdict.CORRECT
    found[best] = labels[evidence.targets[best]]
    mended = replace(evidence, verdicts=verdicts, labels=found)
    return mended.only(verdicts != kind)


def _gathered(
    scenes: Sequence[Scene], judgements: Sequence[Judgement], num_objects: np.ndarray
) -> _Evidence:
    start = np.cumsum([0, *(len(x.labels) for x in scenes)])
    targets = [
        np.where(x.targets < 0, -1, x.targets + first)
        for x, first in zip(judgements, start)
    ]
    evidence = _Evidence(
        _joined([x.found_labels for x in scenes]),
        _joined([x.scores for x in scenes], float),
        _joined([x.verdicts for x in judgements]),
        _joined(targets),
        num_objects,
    )
    return evidence.only(evidence.verdicts != Verdict.IGNORED)


def _count(labels: np.ndarray, num_classes: int) -> np.ndarray:
    return np.bincount(labels, minlength=num_classes)


def _joined(parts: Sequence[np.ndarray], dtype: type = int) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype)
