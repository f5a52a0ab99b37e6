"""Detections against the truth: what was found, missed, or wrong."""

from collections.abc import Sequence

import numpy as np

from .drawing import Colour, Mark, draw_marks
from .sheets import side_by_side

# Of the palette of Okabe and Ito, which all eyes tell apart; every box says in
# words what it is, too.
VERDICTS: dict[str, Colour] = dict(
    correct=(0, 158, 115),
    found=(0, 158, 115),
    missed=(213, 94, 0),
    localisation=(86, 180, 233),
    duplicate=(240, 228, 66),
    background=(50, 50, 50),
    both=(230, 159, 0),
    ignored=(170, 170, 170),
)
VERDICTS |= {
    'class': (204, 121, 167),
    'found wrongly': (230, 159, 0),
    'crowd': VERDICTS['ignored'],
}

Judged = tuple[Sequence[float], str, str]
"""A box (xyxy, pixels), its verdict and its name."""


def draw_verdicts(
    image: np.ndarray, truth: Sequence[Judged], detections: Sequence[Judged]
) -> np.ndarray:
    """Objects at the left, found or not; detections at the right, right or wrong.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        truth: With verdicts ``found``, ``missed``, ``found wrongly`` or ``crowd``.
        detections: With verdicts of :data:`VERDICTS`, the best scored first.

    Returns:
        uint8 RGB, a little more than twice as wide as the picture.
    """
    panels = [draw_marks(image, _marks(side)) for side in (truth, detections)]
    return side_by_side(panels, ('ground truth', 'detections'))


def _marks(side: Sequence[Judged]) -> list[Mark]:
    marks = []
    for (x1, y1, x2, y2), verdict, name in side:
        text = name if verdict in ('correct', 'found') else f'{name}: {verdict}'
        marks.append(Mark((x1, y1, x2, y2), VERDICTS[verdict], text))
    return marks
