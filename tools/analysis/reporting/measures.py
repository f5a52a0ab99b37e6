"""The numbers of a report, as plain data that JSON can hold."""

from math import inf
from typing import Any

import numpy as np

from freeanchor.evaluation.coco_backends import BACKENDS, Curves, checked_backend
from freeanchor.evaluation.coco_results import (
    PRECISIONS,
    mean_of_known,
    of_category,
    overall,
)
from freeanchor.evaluation.confusion import (
    best_threshold,
    best_thresholds,
    confusion_matrix,
)
from freeanchor.evaluation.error_costs import error_costs
from freeanchor.evaluation.error_types import Judgement, Scene, Verdict, judge
from freeanchor.evaluation.object_groups import ObjectGroup, group_numbers, names_of
from freeanchor.evaluation.object_measures import MEASURES

from .evidence import Evidence

_IOUS = (0.5, 0.6, 0.7, 0.8, 0.9)
_AREAS = dict(
    small=('s', 0, 32**2, 'less than 32 x 32 pixels'),
    medium=('m', 32**2, 96**2, '32 x 32 to 96 x 96 pixels'),
    large=('l', 96**2, inf, 'more than 96 x 96 pixels'),
)
SLENDERNESS = {
    'up to 1.5 : 1': ObjectGroup('aspect_ratio', 1, 1.5),
    '1.5 to 2 : 1': ObjectGroup('aspect_ratio', 1.5, 2),
    '2 to 3 : 1': ObjectGroup('aspect_ratio', 2, 3),
    '3 to 5 : 1': ObjectGroup('aspect_ratio', 3, 5),
    'over 5 : 1': ObjectGroup('aspect_ratio', 5),
}
CROWDING = {
    'alone': ObjectGroup('crowding', 0, 0.01),
    'IoU to 0.3': ObjectGroup('crowding', 0.01, 0.3),
    'IoU 0.3 to 0.5': ObjectGroup('crowding', 0.3, 0.5),
    'IoU over 0.5': ObjectGroup('crowding', 0.5),
}


def choose_threshold(evidence: Evidence) -> float:
    """The score with the best F1 over all classes, or 0.5 if nothing is right."""
    point = best_threshold(evidence.scenes, evidence.judgements)
    return point.score if point else 0.5


def measure(evidence: Evidence, score_thr: float) -> dict[str, Any]:
    """All numbers about the detections; fractions, NaN where nothing is to find.

    Args:
        evidence: Objects and detections.
        score_thr: Detections scored at least this count in the confusion matrix and
            in the numbers of errors ``above_threshold``; all count for the rest.
    """
    backend = BACKENDS[checked_backend(None)]
    curves = backend(evidence.truth, evidence.found)
    numbers = overall(curves)
    wanted = evidence.truth.column('iscrowd', int) == 0
    areas = evidence.truth.column('area', float)[wanted]
    sizes = [
        dict(
            name=name,
            means=meaning,
            objects=int(((areas >= low) & (areas < high)).sum()),
            AP=numbers[f'bbox_mAP_{letter}'],
            AR=numbers[f'bbox_AR_{letter}@100'],
        )
        for name, (letter, low, high, meaning) in _AREAS.items()
    ]
    clear = [x.above(score_thr) for x in evidence.scenes]
    return dict(
        overall=numbers,
        classes=_classes(evidence, curves),
        size=sizes,
        # After the rest: they overwrite the areas.
        slenderness=_groups(evidence, SLENDERNESS, backend),
        crowding=_groups(evidence, CROWDING, backend),
        precision_recall=_precision_recall(evidence, curves),
        confusion=confusion_matrix(clear, len(evidence.classes)).tolist(),
        score_thr=score_thr,
        errors=_errors(evidence, clear),
    )


def _classes(evidence: Evidence, curves: Curves) -> list[dict[str, Any]]:
    labels = np.concatenate([x.labels[~x.crowd] for x in evidence.scenes])
    points = best_thresholds(
        evidence.scenes, evidence.judgements, len(evidence.classes)
    )
    rows = []
    for label, (name, place) in enumerate(zip(evidence.classes, evidence.places)):
        point = points[label]
        rows.append(
            dict(
                name=name,
                objects=int((labels == label).sum()),
                **dict(zip(PRECISIONS, of_category(curves, place))),
                best_threshold=point and point._asdict(),
            )
        )
    return rows


def _groups(
    evidence: Evidence, groups: dict[str, ObjectGroup], backend: Any
) -> list[dict[str, Any]]:
    numbers, _ = group_numbers(groups, evidence.truth, evidence.found, backend)
    measured = MEASURES[next(iter(groups.values())).by]
    values, _ = measured(evidence.truth, evidence.found)
    values = values[evidence.truth.column('iscrowd', int) == 0]
    return [
        dict(
            name=name,
            objects=int(((values >= x.low) & (values < x.high)).sum()),
            AP=numbers[names_of(name)[0]],
            AR=numbers[names_of(name)[2]],
        )
        for name, x in groups.items()
    ]


def _precision_recall(evidence: Evidence, curves: Curves) -> dict[str, Any]:
    precision = curves.precision[:, :, :, 0, -1]  # (T, R, K)
    by_iou = {
        f'{iou:.1f}': [
            round(mean_of_known(x), 4) for x in precision[round(20 * iou - 10)]
        ]
        for iou in _IOUS
    }
    by_class = {
        name: precision[0, :, place].round(4).tolist()
        for name, place in zip(evidence.classes, evidence.places)
        if precision[0, 0, place] > -1
    }
    recall = [x / 100 for x in range(101)]
    return dict(recall=recall, by_iou=by_iou, by_class_at_50=by_class)


def _errors(evidence: Evidence, clear: list[Scene]) -> dict[str, Any]:
    before, costs = error_costs(
        evidence.scenes, evidence.judgements, len(evidence.classes)
    )
    return dict(
        AP50=before,
        AP50_given_back=costs,
        of_all=_count(evidence.judgements),
        above_threshold=_count([judge(x) for x in clear]),
    )


def _count(judgements: list[Judgement]) -> dict[str, int]:
    verdicts = np.concatenate([x.verdicts for x in judgements])
    counts = {x.name.lower(): int((verdicts == x).sum()) for x in Verdict}
    return counts | dict(missed=int(sum(x.missed.sum() for x in judgements)))
