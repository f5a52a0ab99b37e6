"""Who computes COCO's precision and recall: pycocotools, or a compiled twin."""

import contextlib
import importlib.util
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
from pycocotools.cocoeval import COCOeval

# Versions that were found equal to pycocotools to the last digit, or may be.
_OLDEST_FASTER, _TOO_NEW = (1, 8), (2, 0)


@dataclass(frozen=True)
class Curves:
    """Precision and recall of every setting, -1 where there is nothing to find.

    Axes: T IoU thresholds 0.50 to 0.95, R recalls 0.00 to 1.00, K categories,
    A areas (all, small, medium, large), M detections an image (1, 10, 100). Where
    ranges of areas are given, A are these, and M is 100 alone.
    """

    precision: np.ndarray  # (T, R, K, A, M) float64
    recall: np.ndarray  # (T, K, A, M) float64


class Annotations:
    """Boxes in COCO's format, as both evaluators ask for them.

    Images and categories are numbered from 1 without gaps. There is no index:
    all annotations are wanted, and in the order in which they are.
    """

    def __init__(
        self, annotations: list[dict[str, Any]], num_images: int, num_categories: int
    ) -> None:
        # COCOeval takes an annotation with the id 0 for none at all.
        for number, annotation in enumerate(annotations, 1):
            annotation['id'] = number
        self._annotations = annotations
        self._images = list(range(1, num_images + 1))
        self._categories = list(range(1, num_categories + 1))

    def getImgIds(self) -> list[int]:  # noqa: N802
        return self._images

    def getCatIds(self) -> list[int]:  # noqa: N802
        return self._categories

    def getAnnIds(self, **_: Any) -> range:  # noqa: N802
        return range(len(self._annotations))

    def loadAnns(self, ids: range) -> list[dict[str, Any]]:  # noqa: N802
        return self._annotations

    def column(self, key: str, dtype: type) -> np.ndarray:
        """``(n,)`` what all annotations have under ``key``."""
        return np.array([x[key] for x in self._annotations], dtype=dtype)

    def boxes(self) -> np.ndarray:
        """``(n, 4)`` x, y, width, height in pixels."""
        boxes = [x['bbox'] for x in self._annotations]
        return np.array(boxes, dtype=float).reshape(-1, 4)

    def set_areas(self, areas: np.ndarray) -> None:
        """Put ``(n,)`` other numbers in the place of the areas."""
        for annotation, area in zip(self._annotations, areas.tolist()):
            annotation['area'] = area


# Ends of a range of areas, both within it.
Ranges = Sequence[Sequence[float]]


def by_pycocotools(
    truth: Annotations, found: Annotations, ranges: Ranges | None = None
) -> Curves:
    """The reference."""
    evaluator = COCOeval(truth, found, 'bbox')
    _set_ranges(evaluator.params, ranges)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator.evaluate()
        evaluator.accumulate()
    return Curves(evaluator.eval['precision'], evaluator.eval['recall'])


def by_faster_coco_eval(
    truth: Annotations, found: Annotations, ranges: Ranges | None = None
) -> Curves:
    """The same matching and curves in C++, made equal to the last digit.

    pycocotools adds the spacing of 1 to the denominator of a precision, which
    moves 1/1 to just below 1 and nothing else; faster-coco-eval does not. So
    a precision of 1 has to be told apart: is it that of the first detection
    alone, or are the first two both right? The precision at a recall between
    one and two objects tells, and each such range holds one power of 2: they
    are measured too.
    """
    from faster_coco_eval import COCOeval_faster

    evaluator = COCOeval_faster(truth, found, 'bbox', print_function=_say_nothing)
    _set_ranges(evaluator.params, ranges)
    objects = _count_objects(truth, evaluator.params.areaRng)  # (K, A)
    powers = int(np.ceil(np.log2(max(1, objects.max()))))
    recalls = evaluator.params.recThrs
    # 2, 1, 1/2, ... A recall of 2 is never reached: one object, no second match.
    evaluator.params.recThrs = np.append(recalls, 0.5 ** np.arange(-1, powers))
    evaluator.evaluate()
    evaluator.accumulate()

    precision = evaluator.eval['precision']
    # The power of 2 in (1 / objects, 2 / objects], as a place after the recalls.
    place = np.ceil(np.log2(objects.clip(1))).astype(int) + len(recalls)
    categories, areas = np.indices(objects.shape)
    second = precision[:, place, categories, areas]  # (T, K, A, M)
    precision = np.ascontiguousarray(precision[:, : len(recalls)])
    precision[(precision == 1) & (second != 1)[:, None]] = 1 / (1 + np.spacing(1))
    return Curves(precision, evaluator.eval['recall'])


BACKENDS: dict[str, Callable[..., Curves]] = {
    'pycocotools': by_pycocotools,
    'faster_coco_eval': by_faster_coco_eval,
}


def checked_backend(name: str | None) -> str:
    """The name of a backend that is installed; None is the fastest of them.

    Raises:
        ValueError: There is no such backend, or it is not installed, or is of
            another version.
    """
    version = _faster_version()
    usable = version is not None and _OLDEST_FASTER <= version < _TOO_NEW
    if name is None:
        return 'faster_coco_eval' if usable else 'pycocotools'
    if name not in BACKENDS:
        raise ValueError(
            f'CocoMetric has no backend {name!r}; valid are {", ".join(BACKENDS)}'
        )
    if name == 'faster_coco_eval' and not usable:
        state = 'is another' if version else 'is not installed'
        raise ValueError(
            "CocoMetric(backend='faster_coco_eval') needs a faster-coco-eval from 1.8 "
            f'on and below 2, which {state}: pip install "faster-coco-eval>=1.8,<2", '
            "or leave backend out, or set it to 'pycocotools'"
        )
    return name


def _faster_version() -> tuple[int, int] | None:
    if importlib.util.find_spec('faster_coco_eval') is None:
        return None
    major, minor = metadata.version('faster-coco-eval').split('.')[:2]
    return int(major), int(minor)


def _set_ranges(params: Any, ranges: Ranges | None) -> None:
    if ranges is not None:
        params.areaRng = [list(x) for x in ranges]
        params.areaRngLbl = [str(i) for i in range(len(ranges))]
        params.maxDets = [100]


def _count_objects(truth: Annotations, areas: list[list[float]]) -> np.ndarray:
    """Objects to be found, ``(K, A)``: neither crowds nor outside the area."""
    count = np.zeros((len(truth.getCatIds()), len(areas)), dtype=int)
    wanted = [x for x in truth.loadAnns(truth.getAnnIds()) if not x['iscrowd']]
    size = np.array([x['area'] for x in wanted], dtype=float)
    category = np.array([x['category_id'] for x in wanted], dtype=int) - 1
    for place, (low, high) in enumerate(areas):
        inside = category[(size >= low) & (size <= high)]
        count[:, place] = np.bincount(inside, minlength=len(count))
    return count


def _say_nothing(*_: Any) -> None:
    pass
