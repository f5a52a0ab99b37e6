"""What COCOeval found, as named numbers and as tables to read."""

from collections.abc import Iterable, Sequence
from math import isnan, nan

import numpy as np
from pycocotools.cocoeval import COCOeval

# COCO's twelve numbers, in the order of COCOeval.stats.
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
_MOST = -1  # the place of 100 detections an image


def overall(evaluator: COCOeval) -> dict[str, float]:
    """The numbers of ``STATS``; NaN where there was nothing to find."""
    stats = evaluator.stats.tolist()
    return {name: value if value > -1 else nan for name, value in zip(STATS, stats)}


def of_category(evaluator: COCOeval, cat_id: int) -> list[float]:
    """The ``PRECISIONS`` of one category; NaN where there was nothing to find."""
    # COCOeval sorts the ids: they are not in the order of labels.
    place = list(evaluator.params.catIds).index(cat_id)
    precision = evaluator.eval['precision'][:, :, place, :, _MOST]  # IoU, recall, area
    parts = [
        precision[..., _ALL],
        precision[_IOU_50, :, _ALL],
        precision[_IOU_75, :, _ALL],
        *(precision[..., area] for area in (_SMALL, _MEDIUM, _LARGE)),
    ]
    return [_mean(part) for part in parts]


def overall_table(numbers: dict[str, float]) -> str:
    """Precision and recall, in percent."""
    values = _percent(numbers.values())
    half = len(PRECISIONS)
    rows = [PRECISIONS, values[:half], RECALLS, values[half:]]
    return _aligned(rows)


def class_table(rows: dict[str, list[float]], num_objects: dict[str, int]) -> str:
    """A line per class: its objects and its precisions, in percent."""
    head = ('class', 'objects', *PRECISIONS)
    body = [(name, str(num_objects[name]), *_percent(rows[name])) for name in rows]
    return _aligned([head, *body])


def _mean(values: np.ndarray) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else nan


def _percent(values: Iterable[float]) -> list[str]:
    return ['-' if isnan(x) else f'{100 * x:.1f}' for x in values]


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns of text, the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:])]
        lines.append('  '.join([first.ljust(widths[0]), *cells]))
    return '\n'.join(lines)
