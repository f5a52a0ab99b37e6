"""Precision and recall as named numbers and as tables to read."""

from collections.abc import Iterable, Sequence
from math import isnan, nan

import numpy as np

from .coco_backends import Curves

# COCO's twelve numbers, in COCO's order.
STATS = (
    'bbox_mAP',
    'bbox_mAP_50',
    'bbox_mAP_75',
    'bbox_mAP_s',
    'bbox_mAP_m',
    'bbox_mAP_l',
    'bbox_AR@1',
    'bbox_AR@10',
    'bbox_AR@100',
    'bbox_AR_s@100',
    'bbox_AR_m@100',
    'bbox_AR_l@100',
)
PRECISIONS = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl')
RECALLS = ('AR@1', 'AR@10', 'AR@100', 'ARs', 'ARm', 'ARl')

_IOU_50, _IOU_75 = 0, 5  # places of these thresholds
_ALL, _SMALL, _MEDIUM, _LARGE = range(4)  # places of these areas
_ONE, _TEN, _MOST = range(3)  # places of 1, 10, 100 detections an image


def overall(curves: Curves) -> dict[str, float]:
    """The numbers of ``STATS``; NaN where there was nothing to find."""
    recalls = [
        curves.recall[:, :, _ALL, _ONE],
        curves.recall[:, :, _ALL, _TEN],
        *(curves.recall[:, :, area, _MOST] for area in (_ALL, _SMALL, _MEDIUM, _LARGE)),
    ]
    parts = _precisions(curves.precision) + recalls
    return {name: mean_of_known(part) for name, part in zip(STATS, parts)}


def of_category(curves: Curves, place: int) -> list[float]:
    """The ``PRECISIONS`` of one category; NaN where there was nothing to find."""
    return [
        mean_of_known(part) for part in _precisions(curves.precision[:, :, [place]])
    ]


def overall_table(numbers: dict[str, float]) -> str:
    """Precision and recall, in percent."""
    values = percent(numbers.values())
    half = len(PRECISIONS)
    rows = [PRECISIONS, values[:half], RECALLS, values[half:]]
    return aligned(rows)


def class_table(rows: dict[str, list[float]], num_objects: dict[str, int]) -> str:
    """A line per class: its objects and its precisions, in percent."""
    head = ('class', 'objects', *PRECISIONS)
    body = [(name, str(num_objects[name]), *percent(rows[name])) for name in rows]
    return aligned([head, *body])


def _precisions(precision: np.ndarray) -> list[np.ndarray]:
    """What each of ``PRECISIONS`` is the mean of; -1 where nothing was to find."""
    best = precision[..., _MOST]  # (T, R, K, A)
    areas = [best[..., area] for area in (_ALL, _SMALL, _MEDIUM, _LARGE)]
    return [areas[_ALL], areas[_ALL][_IOU_50], areas[_ALL][_IOU_75], *areas[1:]]


def mean_of_known(values: np.ndarray) -> float:
    """Mean without the -1 of what was not there to find; NaN if that is all."""
    known = values[values > -1]
    return float(known.mean()) if known.size else nan


def percent(values: Iterable[float]) -> list[str]:
    """Fractions as text, a dash for NaN."""
    return ['-' if isnan(x) else f'{100 * x:.1f}' for x in values]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns of text, the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:])]
        lines.append('  '.join([first.ljust(widths[0]), *cells]))
    return '\n'.join(lines)
