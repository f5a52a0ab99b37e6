"""Which trunk, and which of our configs, some weights are for."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from .convert import Converted
from .source import Weights

_DEPTHS: dict[tuple[int, ...], int] = {
    (2, 2, 2, 2): 18,
    (3, 4, 6, 3): 50,  # or 34, which has no third convolution
    (3, 4, 23, 3): 101,
    (3, 8, 36, 3): 152,
}


def trunk_of(weights: Weights) -> str | None:
    """``'r50'``, ``'x101_64x4d'``, ...; None for one that is no such ResNet."""
    depth = _DEPTHS.get(tuple(_blocks(weights, stage) for stage in range(1, 5)))
    grouped = weights.get('backbone.layer1.0.conv2.weight')
    if depth is None or grouped is None:
        return None
    if 'backbone.layer1.0.conv3.weight' not in weights:
        return 'r34' if depth == 50 else f'r{depth}'
    outputs, inputs = grouped.shape[:2]
    groups = outputs // inputs
    return f'r{depth}' if groups == 1 else f'x{depth}_{groups}x{inputs}d'


def fitting_configs(converted: Converted, names: Iterable[str]) -> list[str]:
    """Those of our configs that are made for the weights.

    Args:
        converted: The weights.
        names: Names of config files without their ending.
    """
    trunk = trunk_of(converted.weights)
    kind = converted.settings.kind
    if trunk is None or (converted.settings.style == 'caffe' and kind is not None):
        return []  # ours of MMDetection's geometry have the strides of 'pytorch'
    patterns = [
        pattern.format(kind=kind or '*', trunk=trunk)
        for pattern in converted.source.configs
    ]
    return sorted(x for x in names if any(fnmatchcase(x, y) for y in patterns))


def _blocks(weights: Weights, stage: int) -> int:
    start = f'backbone.layer{stage}.'
    return len({x[len(start) :].split('.')[0] for x in weights if x.startswith(start)})
