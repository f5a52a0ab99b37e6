"""Other projects' RetinaNets by the names, order and scale of ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ..loading import weights_of
from . import channels, norms
from .mmdet import OURS
from .recognition import ConversionError, source_of
from .settings import Settings, settings_of
from .source import Source, Weights
from .torchvision import TORCHVISION, frozen_eps

_NEEDED = (f'{channels.CLS}.weight', f'{channels.REG}.weight')
# Begin the names of what every other project's RetinaNet has.
_PARTS = (
    'backbone.conv1.',
    *(f'backbone.layer{i}.' for i in range(1, 5)),
    *(f'neck.lateral_convs.{i}.' for i in range(3)),
    *(f'neck.fpn_convs.{i}.' for i in range(5)),
    'bbox_head.cls_convs.0.',
    'bbox_head.reg_convs.0.',
)
_QUALITY_STDS = (0.1, 0.1, 0.2, 0.2)  # of ATSS and PAA


@dataclass(frozen=True)
class Converted:
    """A checkpoint in our terms.

    Args:
        weights: Tensors by our names.
        source: Where it is from.
        settings: What is known of how it was trained; ``stds`` are those in
            which the box branch of ``weights`` writes.
        notes: What was done to it, a sentence each.
        unmatched: Names in the file that nothing here knows.
    """

    weights: Weights
    source: Source
    settings: Settings
    notes: tuple[str, ...]
    unmatched: tuple[str, ...]


def convert(
    checkpoint: Mapping[str, Any],
    claimed: str | None = None,
    norm_eps: float | None = None,
) -> Converted:
    """Turn what :func:`freeanchor.engine.read_checkpoint` gave into ours.

    Args:
        checkpoint: Contents of a file; not changed.
        claimed: Name of the source, a key of
            :data:`~freeanchor.engine.conversion.SOURCES`; recognised if None.
        norm_eps: What the source's norms add to variances, where that is known
            better than can be seen from the file.

    Raises:
        ConversionError: The file is of another source than ``claimed``, of none
            that is known, or lacks a part of a RetinaNet.
    """
    source = source_of(checkpoint, claimed)
    theirs = {
        name.removeprefix('module.'): x
        for name, x in weights_of(dict(checkpoint)).items()
        if isinstance(x, Tensor)
    }
    weights, unmatched = _renamed(theirs, source)
    missing = [x for x in _NEEDED if x not in weights]
    if source is not OURS:  # ours may have other trunks, fewer levels, no towers
        missing += [x for x in _PARTS if not any(y.startswith(x) for y in weights)]
    if missing:
        raise ConversionError(f'this {source.name} file has no {", ".join(missing)}')
    notes = [step(weights) for step in source.steps]
    eps, why = source.norm_eps, ''
    if norm_eps is not None:
        eps = norm_eps
    elif source is TORCHVISION:
        eps, why = frozen_eps(set(theirs))
    notes += [why, norms.fold_eps(weights, eps)]
    norms.add_counters(weights)
    settings = _settings(checkpoint, source, weights)
    notes = [x for x in notes if x]
    return Converted(weights, source, settings, tuple(notes), tuple(unmatched))


def _settings(
    checkpoint: Mapping[str, Any], source: Source, weights: Weights
) -> Settings:
    """What the file says, or what all files of its source have."""
    settings = settings_of(checkpoint)
    if source.stds is not None:
        return replace(settings, stds=source.stds)
    if settings.stds is None and f'bbox_head.{channels.QUALITY}.weight' in weights:
        return replace(settings, stds=_QUALITY_STDS)
    return settings


def _renamed(theirs: Weights, source: Source) -> tuple[Weights, list[str]]:
    """Tensors by our names, and the names that no rule knows."""
    weights: Weights = {}
    unmatched = []
    for name, tensor in theirs.items():
        new = _new_name(name, source)
        if new is not None:
            weights[new] = tensor.detach().clone()
        elif not any(re.fullmatch(x, name) for x in source.dropped):
            unmatched.append(name)
    return weights, unmatched


def _new_name(name: str, source: Source) -> str | None:
    for pattern, ours in source.names:
        if match := re.fullmatch(pattern, name):
            return match.expand(ours)
    return None
