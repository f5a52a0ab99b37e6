"""Which classes are taken for which, and which score is a good threshold."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .error_types import FOUND_IOU, Judgement, Scene, Verdict, match


def confusion_matrix(scenes: Sequence[Scene], num_classes: int) -> np.ndarray:
    """How often objects of a class were found as another.

    Each detection, the best scored first, takes the object of any class that it
    overlaps most, with an IoU of at least 0.5, that no other has taken. What lies
    within a crowd, by half of its area, is left out.

    Args:
        scenes: With the detections that are to count, see :meth:`Scene.above`.
        num_classes: Labels are below this.

    Returns:
        ``(C + 1, C + 1)`` counts: a row for the class of an object, a column for that
        of a detection. The last row is background taken for an object, the last
        column objects that were not found.
    """
    counts = np.zeros((num_classes + 1, num_classes + 1), dtype=int)
    for scene in scenes:
        overlaps = scene.overlaps()
        matched = match(
            overlaps, np.broadcast_to(~scene.crowd, overlaps.shape), FOUND_IOU
        )
        hit = matched >= 0
        in_crowd = (overlaps[:, scene.crowd] >= FOUND_IOU).any(axis=1)
        stray = scene.found_labels[~hit & ~in_crowd]
        left = np.ones(len(scene.labels), dtype=bool)
        left[matched[hit]] = False
        unseen = scene.labels[left & ~scene.crowd]
        np.add.at(counts, (scene.labels[matched[hit]], scene.found_labels[hit]), 1)
        np.add.at(counts, (np.full(len(stray), num_classes), stray), 1)
        np.add.at(counts, (unseen, np.full(len(unseen), num_classes)), 1)
    return counts


class OperatingPoint(NamedTuple):
    """A threshold of the score, and what it gives; fractions."""

    score: float
    precision: float
    recall: float
    f1: float


def best_threshold(
    scenes: Sequence[Scene], judgements: Sequence[Judgement]
) -> OperatingPoint | None:
    """The score that tells right from wrong best: that of the highest F1 at IoU 0.5.

    Args:
        scenes: Objects and detections of each image.
        judgements: Of :func:`freeanchor.evaluation.error_types.judge` of each.

    Returns:
        None where there is no object, or none was found.
    """
    counted = _counted(scenes, judgements)
    return _highest_f1(counted.scores, counted.right, len(counted.objects))


def best_thresholds(
    scenes: Sequence[Scene], judgements: Sequence[Judgement], num_classes: int
) -> list[OperatingPoint | None]:
    """:func:`best_threshold` of each class alone; labels are below ``num_classes``."""
    counted = _counted(scenes, judgements)
    num_objects = np.bincount(counted.objects, minlength=num_classes)
    order = np.argsort(counted.labels, kind='stable')
    ends = np.searchsorted(counted.labels[order], np.arange(1, num_classes))
    return [
        _highest_f1(counted.scores[rows], counted.right[rows], int(count))
        for rows, count in zip(np.split(order, ends), num_objects)
    ]


class _Counted(NamedTuple):
    """What is neither a crowd nor within one, of all images."""

    objects: np.ndarray  # (G,) labels
    labels: np.ndarray  # (D,)
    scores: np.ndarray  # (D,)
    right: np.ndarray  # (D,) bool


def _counted(scenes: Sequence[Scene], judgements: Sequence[Judgement]) -> _Counted:
    kept = [x.verdicts != Verdict.IGNORED for x in judgements]
    right = [x.verdicts == Verdict.CORRECT for x in judgements]
    return _Counted(
        _joined([x.labels[~x.crowd] for x in scenes], int),
        _joined([x.found_labels[rows] for x, rows in zip(scenes, kept)], int),
        _joined([x.scores[rows] for x, rows in zip(scenes, kept)], float),
        _joined([x[rows] for x, rows in zip(right, kept)], bool),
    )


def _joined(parts: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *parts])


def _highest_f1(
    scores: np.ndarray, right: np.ndarray, num_objects: int
) -> OperatingPoint | None:
    if not right.any():
        return None
    order = np.argsort(-scores, kind='stable')
    scores, true = scores[order], right[order].cumsum()
    f1 = 2 * true / (np.arange(1, len(true) + 1) + num_objects)
    # A threshold keeps all detections of an equal score.
    ends = np.append(scores[1:] != scores[:-1], True)
    best = int(np.where(ends, f1, -1).argmax())
    return OperatingPoint(
        float(scores[best]),
        float(true[best] / (best + 1)),
        float(true[best] / num_objects),
        float(f1[best]),
    )
