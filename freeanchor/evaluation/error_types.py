"""What is wrong with each false detection, and which objects are missed.

The split is that of TIDE (Bolya et al. 2020, arXiv 2008.08115, section 2.2), with its
thresholds: an IoU of 0.5 finds an object, one below 0.1 is background. Where a false
detection is wrong in two ways, the first in the order of :class:`Verdict` counts, as
in the authors' code.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from pycocotools import mask

FOUND_IOU = 0.5
BACKGROUND_IOU = 0.1


class Verdict(IntEnum):
    """What a detection is."""

    CORRECT = 0
    LOCALISATION = 1  # of the right class, with an IoU between the two thresholds
    CLASS = 2  # of another class than the object that it finds
    DUPLICATE = 3  # finds an object that a better scored detection has found
    BACKGROUND = 4  # next to no object
    BOTH = 5  # of another class than the object, with an IoU between the thresholds
    IGNORED = 6  # within a region marked as a crowd: neither right nor wrong


@dataclass(frozen=True)
class Scene:
    """The objects and the detections of one image.

    Attributes:
        boxes: ``(G, 4)`` x, y, width, height of each object, in pixels, float64.
        labels: ``(G,)`` class of each object.
        crowd: ``(G,)`` bool, regions that stand for many objects.
        found: ``(D, 4)`` boxes of the detections, likewise, the best scored first.
        found_labels: ``(D,)`` class of each detection.
        scores: ``(D,)`` in descending order.
    """

    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    found: np.ndarray
    found_labels: np.ndarray
    scores: np.ndarray

    def above(self, score: float) -> 'Scene':
        """The same with only the detections scored at least ``score``."""
        count = int((self.scores >= score).sum())
        return Scene(
            self.boxes,
            self.labels,
            self.crowd,
            self.found[:count],
            self.found_labels[:count],
            self.scores[:count],
        )

    def overlaps(self) -> np.ndarray:
        """``(D, G)`` IoU; with a crowd, the share of the detection within it."""
        if not len(self.boxes) or not len(self.found):
            return np.zeros((len(self.found), len(self.boxes)))
        return mask.iou(self.found, self.boxes, self.crowd.astype(np.uint8))


@dataclass(frozen=True)
class Judgement:
    """What became of the detections and objects of a scene.

    Attributes:
        verdicts: ``(D,)`` a :class:`Verdict` each.
        targets: ``(D,)`` the object that a detection is about, -1 for background and
            what is ignored.
        detected: ``(G,)`` bool, found by a correct detection.
        missed: ``(G,)`` bool, not found, and no better box or class of a detection
            would find it. Never a crowd.
    """

    verdicts: np.ndarray
    targets: np.ndarray
    detected: np.ndarray
    missed: np.ndarray


def match(overlaps: np.ndarray, allowed: np.ndarray, iou: float) -> np.ndarray:
    """Give each detection, in order, the object it overlaps most that is still free.

    Args:
        overlaps: ``(D, G)``, the best scored detection first.
        allowed: ``(D, G)`` bool, whether the two may be matched.
        iou: The least overlap of a match.

    Returns:
        ``(D,)`` the object of each detection, -1 for none. Of objects that overlap
        equally the last is taken, as COCO's evaluation does.
    """
    open_pairs = np.where(allowed & (overlaps >= iou), overlaps, -1.0)
    matched = np.full(len(overlaps), -1)
    for row in np.flatnonzero((open_pairs >= 0).any(axis=1)):
        best = open_pairs.shape[1] - 1 - int(open_pairs[row, ::-1].argmax())
        if open_pairs[row, best] >= 0:
            matched[row] = best
            open_pairs[:, best] = -1.0
    return matched


def judge(scene: Scene) -> Judgement:
    """Tell right detections from wrong ones, and say what is wrong."""
    overlaps = scene.overlaps()
    crowd_overlaps = np.where(scene.crowd, overlaps, 0)
    overlaps = np.where(scene.crowd, 0, overlaps)
    same = scene.found_labels[:, None] == scene.labels  # (D, G)
    matched = match(overlaps, same & ~scene.crowd, FOUND_IOU)
    detected = np.zeros(len(scene.boxes), dtype=bool)
    detected[matched[matched >= 0]] = True

    verdicts = np.full(len(matched), Verdict.CORRECT)
    targets = matched.copy()
    ignored = _highest(crowd_overlaps * same)[0] >= FOUND_IOU
    for row in np.flatnonzero(matched < 0):
        if ignored[row]:
            verdicts[row] = Verdict.IGNORED
        else:
            verdicts[row], targets[row] = _fault(overlaps[row], same[row])
    mendable = np.isin(verdicts, (Verdict.LOCALISATION, Verdict.CLASS))
    within_reach = np.zeros_like(detected)
    within_reach[targets[mendable]] = True
    missed = ~(detected | within_reach | scene.crowd)
    return Judgement(verdicts, targets, detected, missed)


def _fault(overlaps: np.ndarray, same: np.ndarray) -> tuple[Verdict, int]:
    """What is wrong with a detection that found nothing, and about which object."""
    (of_class,), (nearest,) = _highest(overlaps[None] * same)
    (of_others,), (other,) = _highest(overlaps[None] * ~same)
    if BACKGROUND_IOU <= of_class < FOUND_IOU:
        return Verdict.LOCALISATION, nearest
    if of_others >= FOUND_IOU:
        return Verdict.CLASS, other
    if of_class >= FOUND_IOU:  # by another detection: else it were a match
        return Verdict.DUPLICATE, nearest
    if of_others < BACKGROUND_IOU:
        return Verdict.BACKGROUND, -1
    return Verdict.BOTH, other


def _highest(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The highest value of each row, 0 for an empty one, and where it stands."""
    if not values.shape[1]:
        return np.zeros(len(values)), np.full(len(values), -1)
    return values.max(axis=1), values.argmax(axis=1)
