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
    scenes: Sequence[Scene], judgements: Sequence[Judgement], label: int | None = None
) -> OperatingPoint | None:
    """The score that tells right from wrong best: that of the highest F1 at IoU 0.5.

    Args:
        scenes: Objects and detections of each image.
        judgements: Of :func:`freeanchor.evaluation.error_types.judge` of each.
        label: A class; None for all of them together.

    Returns:
        None where there is no such object, or none was found.
    """
    num_objects = sum(int((_of(x.labels, label) & ~x.crowd).sum()) for x in scenes)
    pairs = []
    for scene, judgement in zip(scenes, judgements):
        counted = judgement.verdicts != Verdict.IGNORED
        counts = _of(scene.found_labels, label) & counted
        right = judgement.verdicts[counts] == Verdict.CORRECT
        pairs += list(zip(scene.scores[counts].tolist(), right.tolist()))
    if not any(right for _, right in pairs):
        return None
    pairs.sort(key=lambda x: -x[0])
    scores, right = np.array(pairs).T
    true = right.cumsum()
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


def _of(labels: np.ndarray, label: int | None) -> np.ndarray:
    return np.ones(len(labels), bool) if label is None else labels == label
