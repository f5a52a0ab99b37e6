"""Check the boxes of an annotation file, all at once."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from ..coco_file import CocoFile
from .findings import Finding, Report, SetSummary
from .source import Source

_OVER = 1.0  # pixels that a box may reach over an edge: annotators round
_SHARE = 0.2  # of boxes that reach over an edge, from where a habit shows
_FEW = 10  # boxes: slips of the hand, however small the set
_MANY = 0.01  # of the boxes: more than slips
_LEFT_OUT = ('zero_box', 'thin_box', 'outside_box', 'zero_area')
_REMOVE = 'correct it, or remove it (--fix does)'
_CUT = 'correct it, or cut it at the edge (--fix does)'
_HABITS = dict(
    normalised=(
        'boxes are between 0 and 1: fractions of the image, not pixels',
        'multiply them by width and height (--fix does)',
    ),
    corners=(
        'boxes reach over the edge, and would not as x1, y1, x2, y2',
        'write x, y, width, height (--fix does)',
    ),
    perhaps_corners=(
        'the boxes over the edge would not be as x1, y1, x2, y2',
        'look whether they are corners; COCO has x, y, width, height',
    ),
)
_MENDS = dict(
    zero_box=('is not wider and higher than 0', _REMOVE),
    thin_box=('is thinner than a pixel', _REMOVE),
    outside_box=('is outside the image', _REMOVE),
    duplicate_box=('is there twice, with one class', _REMOVE),
    zero_area=('has an area that is not above 0', 'correct area, or leave it out'),
    partly_outside=('reaches over an edge of the image', _CUT),
)


def check_boxes(
    file: CocoFile, source: Source, report: Report, summary: SetSummary
) -> None:
    """Note boxes that are useless, or not what COCO's format has.

    Args:
        file: Sound entries.
        source: Where they are from.
        report: Gets the findings.
        summary: Gets the counts.
    """
    annotations = file.annotations
    if not annotations:
        return
    boxes, sizes = columns(file)
    masks = useless(boxes, sizes)
    masks['zero_area'] = ~(masks['zero_box'] | masks['thin_box'])
    masks['zero_area'] &= np.fromiter((_area(x) for x in annotations), np.float64) <= 0
    masks['duplicate_box'] = repeated(annotations, boxes)
    habit = habit_of(boxes, sizes)
    if habit is not None:
        text, mend = _HABITS[habit]
        report.add(Finding(habit, source.ann_file, text, mend))
    if habit != 'normalised':
        for code, mask in masks.items():
            report.add_all(int(mask.sum()), _findings(code, mask, file, source))
    _summarise(file, masks, source, report, summary)


def columns(file: CocoFile) -> tuple[np.ndarray, np.ndarray]:
    """Boxes xywh and the sizes of their images, ``(M, 4)`` and ``(M, 2)``."""
    row_of = {x['id']: row for row, x in enumerate(file.images)}
    numbers = chain.from_iterable(x['bbox'] for x in file.annotations)
    boxes = np.fromiter(numbers, np.float64).reshape(-1, 4)
    rows = np.fromiter((row_of[x['image_id']] for x in file.annotations), np.int64)
    sizes = np.array([(x['width'], x['height']) for x in file.images], np.float64)
    return boxes, sizes[rows]


def useless(boxes: np.ndarray, sizes: np.ndarray) -> dict[str, np.ndarray]:
    """Which boxes ``(M, 4)`` xywh have which fault ``(M,)``; none has two."""
    with np.errstate(over='ignore'):
        far = boxes[:, :2] + boxes[:, 2:]
    zero = (boxes[:, 2:] <= 0).any(axis=1)
    thin = ~zero & (boxes[:, 2:] < 1).any(axis=1)
    visible = np.minimum(far, sizes) - boxes[:, :2].clip(min=0)
    outside = ~zero & ~thin & (visible < 0.01).any(axis=1)
    over = (boxes[:, :2] < -_OVER) | (far > sizes + _OVER)
    partly = over.any(axis=1) & ~zero & ~thin & ~outside
    return dict(
        zero_box=zero, thin_box=thin, outside_box=outside, partly_outside=partly
    )


def habit_of(boxes: np.ndarray, sizes: np.ndarray) -> str | None:
    """What all boxes are instead of x, y, width, height in pixels; None if they are.

    Args:
        boxes: ``(M, 4)``, at least one.
        sizes: Width and height of their images, ``(M, 2)``.

    Returns:
        ``'normalised'``: fractions of the image. ``'corners'``: x1, y1, x2, y2.
        ``'perhaps_corners'``: so few that nobody can be sure.
    """
    small: Any = ((boxes >= 0) & (boxes <= 1)).all(axis=1) & (boxes[:, 2:] > 0).all(
        axis=1
    )
    if small.mean() > 0.5 and (boxes % 1 != 0).any():
        return 'normalised'
    masks = useless(boxes, sizes)
    reach = masks['partly_outside'] | masks['outside_box']
    low, high = boxes[:, :2], boxes[:, 2:]
    inside: Any = (high > low) & (low >= -_OVER) & (high <= sizes + _OVER)
    fitting: np.ndarray = inside.all(axis=1)
    if not reach.any() or not fitting[reach].all():
        return None
    certain = fitting.all() and reach.sum() >= 3 and reach.mean() >= _SHARE
    return 'corners' if certain else 'perhaps_corners'


def repeated(annotations: list[dict[str, Any]], boxes: np.ndarray) -> np.ndarray:
    """Which annotations have image, class and box of an earlier one, ``(M,)``."""
    found = np.zeros(len(boxes), dtype=bool)
    # Few share all of their bits, mixed into one number: only those are compared.
    mixed = np.zeros(len(boxes), dtype=np.uint64)
    for column in np.ascontiguousarray(boxes.T).view(np.uint64):
        mixed = (mixed ^ column) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    _, place, count = np.unique(mixed, return_inverse=True, return_counts=True)
    seen: set[tuple] = set()
    for row in np.flatnonzero(count[place] > 1).tolist():
        x = annotations[row]
        key = (x['image_id'], x['category_id'], *x['bbox'])
        found[row] = key in seen
        seen.add(key)
    return found


def _findings(
    code: str, mask: np.ndarray, file: CocoFile, source: Source
) -> Iterator[Finding]:
    text, mend = _MENDS[code]
    names = {x['id']: x['file_name'] for x in file.images}
    for row in np.flatnonzero(mask):
        found = file.annotations[row]
        shown = found['area'] if code == 'zero_area' else found['bbox']
        yield Finding(
            code,
            source.ann_file,
            f'box {shown} {text}' if code != 'zero_area' else f'area is {shown}',
            mend,
            image_id=found['image_id'],
            image=names[found['image_id']],
            annotation_id=found['id'],
        )


def _summarise(
    file: CocoFile,
    masks: dict[str, np.ndarray],
    source: Source,
    report: Report,
    summary: SetSummary,
) -> None:
    """Counts of what a data set trains on, and of what it leaves out."""
    chosen = file.categories.values() if source.classes is None else source.classes
    places = {name: i for i, name in enumerate(chosen)}
    label_of = {i: places.get(name, -1) for i, name in file.categories.items()}
    labels = np.fromiter((label_of[x['category_id']] for x in file.annotations), 'i8')
    used = labels >= 0
    left = {code: int((masks[code] & used).sum()) for code in _LEFT_OUT}
    summary.dropped = {code: count for code, count in left.items() if count}
    kept = used & ~np.any([masks[code] for code in _LEFT_OUT], axis=0)
    summary.boxes = int(kept.sum())
    counts = np.bincount(labels[kept], minlength=len(places)).tolist()
    known = set(file.categories.values())
    summary.objects = {name: counts[i] for name, i in places.items() if name in known}
    _note_share(sum(left.values()), int(used.sum()), source, report)


def _note_share(count: int, total: int, source: Source, report: Report) -> None:
    """So many boxes of no use that the file may not be in the right format."""
    share = count / max(1, total)
    if share > 0.5:
        code = 'most_dropped'
        mend = 'look whether the file is in the right format, then export it again'
    elif share > _MANY and count > _FEW:
        code = 'many_dropped'
        mend = (
            'look whether the file is in the right format; if it is, train on the '
            'copy without them that tools/data/doctor.py --fix writes'
        )
    else:
        return
    text = f'{share:.1%} of {total} boxes are of no use'
    report.add(Finding(code, source.ann_file, text, mend))


def _area(annotation: dict[str, Any]) -> float:
    area = annotation.get('area')
    return 1.0 if area is None else area
