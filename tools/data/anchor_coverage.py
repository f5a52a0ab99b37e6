"""What anchors cover, as tables: by size, shape and class, and for each proposal."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from anchor_objects import NetworkObjects

from freeanchor.boxes.anchor_proposals import AnchorSettings
from freeanchor.boxes.coverage import bag_overlaps, map_sizes
from freeanchor.registry import TASK_UTILS

REACHED = 0.5  # IoU of the best anchor
_GAIN = 0.005  # that is worth another config
_SIZES = (0, 8, 16, 32, 64, 128, 256, 512, np.inf)
_ASPECTS = (0, 1 / 5, 1 / 3, 1 / 2, 2, 3, 5, np.inf)
_SHAPES = (
    'over 5 times as wide', '3 to 5 times as wide', '2 to 3 times as wide',
    'within 2 : 1', '2 to 3 times as tall', '3 to 5 times as tall',
    'over 5 times as tall',
)  # fmt: skip
_MOST_CLASSES = 30


@dataclass(frozen=True)
class Coverage:
    """IoU of each object with its best anchor, and the mean over its bag; ``(N,)``."""

    best: np.ndarray
    bag_mean: np.ndarray

    @property
    def reached(self) -> float:
        """Share of the objects whose best anchor has an IoU of ``REACHED``."""
        return float((self.best >= REACHED).mean())


def settings_of(generator: dict[str, Any]) -> AnchorSettings:
    """The shapes of a config's anchors."""
    ratios = tuple(map(float, generator.get('ratios', (0.5, 1.0, 2.0))))
    scales = generator.get('scales')
    if scales:
        return AnchorSettings(float(min(scales)), len(scales), ratios)
    base = float(generator.get('octave_base_scale', 4))
    return AnchorSettings(base, generator.get('scales_per_octave', 3), ratios)


def cover(
    objects: NetworkObjects,
    generator: dict[str, Any],
    bag_size: int,
    settings: AnchorSettings | None = None,
) -> Coverage:
    """Compare objects with the anchors that a generator lays out over their images.

    Args:
        objects: The objects.
        generator: The generator's config.
        bag_size: Anchors in a bag.
        settings: Shapes to take instead of the config's.
    """
    if settings is not None:
        generator = {k: v for k, v in generator.items() if k != 'scales'}
        generator.update(vars(settings))
    lay_out = TASK_UTILS.build(generator)
    strides, divisor = tuple(generator['strides']), objects.divisor
    groups: dict[tuple, list[int]] = {}
    for i, (height, width) in enumerate(objects.image_sizes.tolist()):
        maps = tuple(map_sizes(height, width, strides, divisor))
        groups.setdefault(maps, []).append(i)
    boxes = torch.from_numpy(objects.boxes).float()
    best = np.zeros(len(boxes))
    mean = np.zeros(len(boxes))
    for maps, own in groups.items():
        anchors = torch.cat(lay_out(maps))
        ious = bag_overlaps(anchors, boxes[own], bag_size)
        best[own], mean[own] = ious[:, 0].numpy(), ious.mean(dim=1).numpy()
    return Coverage(best, mean)


def coverage_table(objects: NetworkObjects, ious: Coverage, bag_size: int) -> str:
    """Rows by size, shape and class."""
    lines = [
        f'{"":<28}{"objects":>8}{"best anchor":>13}{f"IoU >= {REACHED}":>12}'
        f'{f"bag of {bag_size}":>12}'
    ]
    title = ''
    for kind, name, own in _groups(objects):
        if kind != title:
            title = kind
            lines.append(kind)
        lines.append(
            f'  {name:<26}{own.sum():>8}{ious.best[own].mean():>13.2f}'
            f'{(ious.best[own] >= REACHED).mean():>12.0%}'
            f'{ious.bag_mean[own].mean():>12.2f}'
        )
    return '\n'.join(lines) + '\n'


def unreached(objects: NetworkObjects, ious: Coverage) -> list[str]:
    """Sentences about groups of which many objects have no good anchor."""
    missed = ious.best < REACHED
    sentences = [
        f'{missed.mean():.0%} of the objects have no anchor with an IoU of {REACHED}.'
    ]
    for kind, name, own in _groups(objects):
        share = missed[own].mean()
        if kind != 'all' and share > max(0.25, 1.2 * missed.mean()):
            part = missed[own].sum() / missed.sum()
            sentences.append(
                f'Anchors do not reach {kind.lower()}, {name}: {share:.0%} of these '
                f'({part:.0%} of all that are missed).'
            )
    return sentences


def worthwhile(
    found: dict[str, tuple[AnchorSettings, Coverage]],
) -> dict[str, tuple[AnchorSettings, Coverage]]:
    """Without the proposals that do not keep, when measured, what was expected.

    ``'as many'`` and ``'more'`` reach more objects than what stands before them, or
    as many and closer; ``'fewer'`` reach as many as those of now.
    """
    kept = {'now': found['now']}
    for name, proposal in found.items():
        limit = list(kept.values())[-1] if name != 'fewer' else kept['now']
        gain = proposal[1].reached - limit[1].reached
        closer = proposal[1].best.mean() - limit[1].best.mean()
        if gain > _GAIN or (gain >= 0 and (closer > _GAIN or name == 'fewer')):
            kept.setdefault(name, proposal)
    return kept


def proposal_table(
    found: dict[str, tuple[AnchorSettings, Coverage]], bag_size: int, scales: bool
) -> str:
    """What each of several settings covers, and the lines of a config for them."""
    lines = [
        '',
        f'{"anchors":<10}{"a cell":>7}{"best anchor":>13}{f"IoU >= {REACHED}":>12}'
        f'{f"bag of {bag_size}":>12}  as',
    ]
    for name, (settings, ious) in found.items():
        ratios = ', '.join(f'{x:g}' for x in settings.ratios)
        lines.append(
            f'{name:<10}{settings.per_cell:>7}{ious.best.mean():>13.3f}'
            f'{ious.reached:>12.1%}{ious.bag_mean.mean():>12.3f}'
            f'  octave_base_scale={settings.octave_base_scale:g}, '
            f'scales_per_octave={settings.scales_per_octave}, ratios=[{ratios}]'
        )
    if len(found) == 1:
        lines.append('No other settings that were tried cover more.')
    else:
        reset = ', scales=None' if scales else ''
        lines.append(
            f'In a config: model = dict(bbox_head=dict(anchor_generator=dict(...{reset}'
            '))). Weights of a head with another number of anchors do not fit.'
        )
    return '\n'.join(lines)


def _groups(objects: NetworkObjects) -> Iterator[tuple[str, str, np.ndarray]]:
    """Kind, name and members ``(N,)`` of each group that is not empty."""
    width, height = objects.sides.T
    yield 'all', '', np.ones(len(width), bool)
    size, aspect = np.sqrt(width * height), height / width
    for low, high in pairwise(_SIZES):
        own = (size >= low) & (size < high)
        name = f'{low:g} to {high:g} px' if high < np.inf else f'{low:g} px and more'
        if own.any():
            yield 'Size (root of the area)', name, own
    for name, low, high in zip(_SHAPES, _ASPECTS, _ASPECTS[1:]):
        own = (aspect >= low) & (aspect < high)
        if own.any():
            yield 'Shape', name, own
    counts = np.bincount(objects.labels, minlength=len(objects.classes))
    for label in np.argsort(-counts, kind='stable')[:_MOST_CLASSES]:
        if counts[label]:
            yield 'Class', objects.classes[label], objects.labels == label
