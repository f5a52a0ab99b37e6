"""AP and recall of groups of objects: slender ones, crowded ones.

A group is what COCO's small, medium and large objects are, by another measure than
the area. For the AP of a group

- objects of other groups are ignored: whoever finds one is neither right nor wrong;
- so is a detection that finds nothing and does not belong to the group itself;
- all else is as in COCO's AP: classes, scores, 100 detections an image.

It is computed by COCO's own evaluation, with the measure in the place of the area.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from .coco_backends import Annotations, Curves
from .coco_results import STATS, aligned, mean_of_known, percent
from .object_measures import MEASURES

STANDARD_GROUPS = dict(
    slender=dict(by='aspect_ratio', low=3), crowded=dict(by='crowding', low=0.3)
)
"""Three times as long as wide; an IoU of 0.3 with another object."""

Backend = Callable[..., Curves]


@dataclass(frozen=True)
class ObjectGroup:
    """Objects with ``low <= measure < high``.

    Attributes:
        by: A measure, one of :data:`freeanchor.evaluation.object_measures.MEASURES`.
        low: At least this.
        high: Less than this.
    """

    by: str
    low: float = 0
    high: float = inf

    @property
    def closed(self) -> list[float]:
        """The range with both its ends, as COCO has it."""
        below = self.high if self.high == inf else np.nextafter(self.high, -inf)
        return [float(self.low), float(below)]


def read_groups(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, ObjectGroup]:
    """Groups of a config.

    Raises:
        ValueError: A group is misnamed, or is no range of a known measure.
    """
    read = {}
    for name, settings in groups.items():
        unknown = set(settings) - {'by', 'low', 'high'}
        if unknown or settings.get('by') not in MEASURES:
            raise ValueError(
                f'groups.{name} is {dict(settings)}: a group is dict(by=..., low=..., '
                f'high=...), by one of {", ".join(MEASURES)}'
            )
        group = ObjectGroup(**settings)
        if not group.low < group.high:
            raise ValueError(
                f'groups.{name} has no room between low={group.low} and '
                f'high={group.high}: low is the smaller one'
            )
        if set(names_of(name)) & set(STATS):
            raise ValueError(
                f'groups.{name} has the name of one of the usual numbers: call it '
                'something else'
            )
        read[name] = group
    return read


def names_of(group: str) -> tuple[str, str, str]:
    """Names of a group's AP, AP at IoU 0.50 and average recall."""
    return f'bbox_mAP_{group}', f'bbox_mAP_50_{group}', f'bbox_AR_{group}@100'


def group_numbers(
    groups: Mapping[str, ObjectGroup],
    truth: Annotations,
    found: Annotations,
    backend: Backend,
) -> tuple[dict[str, float], str]:
    """The numbers of all groups, and a table of them.

    Args:
        groups: Groups by name.
        truth: Objects; their ``area`` is overwritten.
        found: Detections; likewise.
        backend: One of :data:`freeanchor.evaluation.coco_backends.BACKENDS`.

    Returns:
        Fractions by the names of :func:`names_of`, NaN where there is nothing to
        find; lines of text.
    """
    numbers: dict[str, float] = {}
    rows: list[Sequence[str]] = [('group', 'objects', 'AP', 'AP50', 'AR@100')]
    for measure in dict.fromkeys(group.by for group in groups.values()):
        of_truth, of_found = MEASURES[measure](truth, found)
        truth.set_areas(of_truth)
        found.set_areas(of_found)
        members = {k: x for k, x in groups.items() if x.by == measure}
        curves = backend(truth, found, [x.closed for x in members.values()])
        wanted = of_truth[truth.column('iscrowd', int) == 0]
        for place, (name, group) in enumerate(members.items()):
            precision = curves.precision[:, :, :, place, -1]  # (T, R, K)
            parts = (precision, precision[0], curves.recall[:, :, place, -1])
            values = [mean_of_known(x) for x in parts]
            numbers |= dict(zip(names_of(name), values))
            count = ((wanted >= group.low) & (wanted < group.high)).sum()
            rows.append((name, str(count), *percent(values)))
    return numbers, aligned(rows)
