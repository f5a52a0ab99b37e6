"""Part images into sets that have the classes in the same shares.

The method is iterative stratification (Sechidis, Tsoumakas, Vlahavas: On the
stratification of multi-label data, 2011): the rarest class is dealt out first, each
image to the set that lacks most of it.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .errors import DataError


def split_images(
    content: Mapping[str, Any],
    fractions: Mapping[str, float],
    seed: int = 0,
    groups: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Part a data set by image.

    Args:
        content: ``images``, ``annotations`` and ``categories`` of COCO's format.
        fractions: Share of each set by its name; together 1.
        seed: The same seed parts the same images in the same way.
        groups: A regular expression, looked for in file names. Images in which it
            finds the same text (its first group, if it has one) stay together.

    Returns:
        By name the same lists with the images of that set; ids stay as they are.

    Raises:
        ValueError: ``fractions`` are no shares, or ``groups`` is no expression.
        DataError: There are fewer images (or groups) than sets.
    """
    if min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ValueError(f'fractions are {dict(fractions)}: above 0, together 1')
    images = content['images']
    units = _units([x['file_name'] for x in images], groups)
    if len(units) < len(fractions):
        what = 'groups of images' if groups else 'images'
        raise DataError(f'{len(units)} {what} cannot be parted into {len(fractions)}')
    counts = _class_counts(content, units)
    sizes = np.array([len(unit) for unit in units])
    shares = np.array(list(fractions.values()))
    chosen = deal(counts, sizes, shares, np.random.default_rng(seed))
    parts = {}
    for number, name in enumerate(fractions):
        own = sorted(i for u in np.flatnonzero(chosen == number) for i in units[u])
        parts[name] = _subset(content, [images[i] for i in own])
    return parts


def deal(
    counts: np.ndarray,
    sizes: np.ndarray,
    shares: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    """Deal units out to sets.

    Args:
        counts: ``(U, C)`` objects of each class in each unit.
        sizes: ``(U,)`` images in each unit.
        shares: ``(S,)`` of the sets, together 1.
        random: Decides among equals.

    Returns:
        ``(U,)`` int64, the set of each unit; no set is empty.
    """
    chosen = np.full(len(sizes), -1)
    wanted = counts.sum(axis=0)[None] * shares[:, None]  # (S, C)
    room = sizes.sum() * shares  # images that each set still takes
    order = random.permutation(len(sizes))
    # Large groups first: they fit into few places.
    order = order[np.argsort(-sizes[order], kind='stable')]
    totals = counts.sum(axis=0)
    for label in np.argsort(totals, kind='stable'):
        for unit in order:
            if chosen[unit] < 0 and counts[unit, label]:
                _give(unit, label, chosen, counts, sizes, wanted, room)
    for unit in order:  # without objects
        if chosen[unit] < 0:
            _give(unit, None, chosen, counts, sizes, wanted, room)
    _fill_empty(chosen, sizes, len(shares))
    return chosen


def _give(
    unit: int,
    label: int | None,
    chosen: np.ndarray,
    counts: np.ndarray,
    sizes: np.ndarray,
    wanted: np.ndarray,
    room: np.ndarray,
) -> None:
    """Give a unit to the set that lacks most of a class, among those with room."""
    need = room if label is None else wanted[:, label]
    # One that is half full of it is not full.
    has_room = room >= min(sizes[unit] / 2, room.max())
    keys = [(has_room[s], need[s], room[s]) for s in range(len(room))]
    best = max(range(len(room)), key=lambda s: keys[s])
    chosen[unit] = best
    wanted[best] -= counts[unit]
    room[best] -= sizes[unit]


def _fill_empty(chosen: np.ndarray, sizes: np.ndarray, num_sets: int) -> None:
    """Give each empty set the smallest unit of the set that has most."""
    for number in range(num_sets):
        if not (chosen == number).any():
            richest = np.bincount(chosen, minlength=num_sets).argmax()
            units = np.flatnonzero(chosen == richest)
            chosen[units[sizes[units].argmin()]] = number


def _units(names: Sequence[str], groups: str | None) -> list[list[int]]:
    """Places of images that stay together."""
    if groups is None:
        return [[i] for i in range(len(names))]
    try:
        pattern = re.compile(groups)
    except re.error as error:
        raise ValueError(f'groups is {groups!r}, no expression: {error}') from None
    found: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        match = pattern.search(name)
        if match is None:
            raise DataError(f'groups: {groups!r} finds nothing in the name {name!r}')
        found[match[1] if pattern.groups else match[0]].append(i)
    return list(found.values())


def _class_counts(content: Mapping[str, Any], units: list[list[int]]) -> np.ndarray:
    """``(U, C)`` objects of each class in each unit; crowds do not count."""
    ids = [x['id'] for x in content['images']]
    unit_of = {ids[i]: u for u, unit in enumerate(units) for i in unit}
    label_of = {x['id']: i for i, x in enumerate(content['categories'])}
    counts = np.zeros((len(units), len(label_of)))
    for entry in content['annotations']:
        unit, label = unit_of.get(entry['image_id']), label_of.get(entry['category_id'])
        if unit is not None and label is not None and not entry.get('iscrowd'):
            counts[unit, label] += 1
    return counts


def _subset(content: Mapping[str, Any], images: list[dict[str, Any]]) -> dict[str, Any]:
    ids = {x['id'] for x in images}
    annotations = [x for x in content['annotations'] if x['image_id'] in ids]
    return {**content, 'images': images, 'annotations': annotations}
