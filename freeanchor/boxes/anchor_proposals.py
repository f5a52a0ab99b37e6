"""Settings of anchors that suit the sizes and shapes of a data set."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from .coverage import expected_overlaps

BASE_SCALES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
SCALES_PER_OCTAVE = (1, 2, 3, 4)
CUSTOMARY_RATIOS = ((1.0,), (0.5, 1.0, 2.0), (0.33, 0.5, 1.0, 2.0, 3.0))
NUM_CENTRES = (1, 2, 3, 5, 7)
ENOUGH = 0.6  # IoU
_MORE = 2.0  # times the anchors of now
_STEPS = 100  # of k-means


@dataclass(frozen=True)
class AnchorSettings:
    """The arguments of :class:`freeanchor.boxes.AnchorGenerator` that shapes need."""

    octave_base_scale: float
    scales_per_octave: int
    ratios: tuple[float, ...]

    @property
    def per_cell(self) -> int:
        return self.scales_per_octave * len(self.ratios)

    def expected(self, sides: Tensor, strides: Sequence[int]) -> tuple[float, float]:
        """Means over objects of :func:`expected_overlaps`; ``sides`` are ``(G, 2)``.

        The first counts no more than ``ENOUGH`` of an IoU, to three digits; the
        second, all of it, decides among equals.
        """
        octave = torch.arange(self.scales_per_octave) / self.scales_per_octave
        scales = self.octave_base_scale * 2**octave
        ratios = torch.tensor(self.ratios)
        ious = expected_overlaps(sides, strides, scales, ratios)
        return round(float(ious.clamp(max=ENOUGH).mean()), 3), float(ious.mean())


def propose_anchors(
    sides: Tensor, strides: Sequence[int], current: AnchorSettings
) -> dict[str, AnchorSettings]:
    """Search for settings under which objects meet better anchors.

    All combinations of ``BASE_SCALES``, ``SCALES_PER_OCTAVE`` and sets of ratios are
    tried: those of now, the customary ones, and centres that k-means finds among the
    logarithms of the objects' height over width. Compared is the mean IoU that an
    object may expect of its best anchor, of which more than ``ENOUGH`` counts as
    that: to reach an object that is missed is worth more than a closer fit.

    Args:
        sides: ``(G, 2)`` width and height of the objects, as the network sees them,
            in pixels; G above 0.
        strides: Of the levels.
        current: The settings to be bettered.

    Returns:
        By what it is: ``'as many'`` anchors at a cell as now, or up to twice as many
        (``'more'``), with the highest IoU; and the fewest with an IoU not below that
        of now (``'fewer'``). What betters nothing is left out.
    """
    found = {x: x.expected(sides, strides) for x in _candidates(sides, current)}
    now = current.expected(sides, strides)
    as_many = {k: v for k, v in found.items() if k.per_cell <= current.per_cell}
    fewer = [
        k for k, v in as_many.items() if v >= now and k.per_cell < current.per_cell
    ]
    proposals = {}
    if as_many and max(as_many.values()) > now:
        proposals['as many'] = max(as_many, key=lambda x: as_many[x])
    best = max(found, key=lambda x: found[x])
    if found[best] > max([now, *as_many.values()]):
        proposals['more'] = best
    if fewer:
        proposals['fewer'] = max(fewer, key=lambda x: (-x.per_cell, found[x]))
    return proposals


def _candidates(sides: Tensor, current: AnchorSettings) -> list[AnchorSettings]:
    aspects = sides[:, 1] / sides[:, 0]
    centres = [log_centres(aspects, k) for k in NUM_CENTRES]
    sets = dict.fromkeys([current.ratios, *CUSTOMARY_RATIOS, *centres])
    bases = dict.fromkeys([current.octave_base_scale, *BASE_SCALES])
    found = [AnchorSettings(*x) for x in product(bases, SCALES_PER_OCTAVE, sets)]
    return [x for x in found if x.per_cell <= _MORE * current.per_cell]


def log_centres(values: Tensor, number: int) -> tuple[float, ...]:
    """Centres of k-means in the logarithm, to two digits, ascending.

    It begins at quantiles, so the same values give the same centres.

    Args:
        values: ``(G,)`` above 0.
        number: Of centres; equal ones are returned once.
    """
    logs = values.double().log()
    places = (torch.arange(number, dtype=torch.float64) + 0.5) / number
    centres = logs.quantile(places)
    for _ in range(_STEPS):
        nearest = (logs[:, None] - centres).abs().argmin(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, logs)
        counts = torch.bincount(nearest, minlength=number)
        moved = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
        if torch.equal(moved, centres):
            break
        centres = moved
    return tuple(dict.fromkeys(float(f'{x:.2g}') for x in centres.exp().sort().values))
