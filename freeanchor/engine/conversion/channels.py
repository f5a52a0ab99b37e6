"""The outputs of the last convolutions in the order and the scale of ours.

Channels are ``(anchor, class)`` and ``(anchor, delta)``, the second varying fastest.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .source import Weights

CLS, REG, QUALITY = 'bbox_head.retina_cls', 'bbox_head.retina_reg', 'retina_quality'
_PARTS = ('weight', 'bias')
_NUM_RATIOS = 3
# COCO's category ids are 1 to 90; these have no objects.
_UNUSED_IDS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
_COCO_LOGITS = 91


def num_anchors(weights: Weights) -> int:
    """Anchors of a cell."""
    return len(weights[f'{REG}.weight']) // 4


def num_classes(weights: Weights) -> int:
    """Classes that the head tells apart."""
    return len(weights[f'{CLS}.weight']) // num_anchors(weights)


def ratios_slowest(weights: Weights) -> str:
    """Anchors from (size, aspect ratio) to (aspect ratio, size) order."""
    count = num_anchors(weights)
    order = torch.arange(count).reshape(-1, min(_NUM_RATIOS, count)).t().flatten()
    for name in (CLS, REG):
        for part in _PARTS:
            x = weights[f'{name}.{part}']
            weights[f'{name}.{part}'] = _by_anchor(x, count)[order].flatten(0, 1)
    return 'anchors put in order of aspect ratio, then size'


def without_background(weights: Weights) -> str:
    """Leave out the logit of background, and of COCO ids that do not exist."""
    count, classes = num_anchors(weights), num_classes(weights)
    used = [i for i in range(1, classes) if i not in _UNUSED_IDS]
    if classes != _COCO_LOGITS:
        used = list(range(1, classes))
    for part in _PARTS:
        x = _by_anchor(weights[f'{CLS}.{part}'], count)
        weights[f'{CLS}.{part}'] = x[:, used].flatten(0, 1)
    return f'{len(used)} of {classes} classes kept: no background, no unused COCO ids'


def rescale_deltas(weights: Weights, old: Sequence[float], new: Sequence[float]) -> str:
    """Let the box branch write deltas in units of ``new`` instead of ``old``.

    Args:
        weights: By our names; changed in place.
        old: The four stds that the deltas were divided by.
        new: Those of the box coder that will read them.
    """
    if tuple(old) == tuple(new):
        return ''
    factor = torch.tensor(old, dtype=torch.float64) / torch.tensor(new).double()
    for part in _PARTS:
        x = weights[f'{REG}.{part}']
        scale = factor.repeat(len(x) // 4).reshape(-1, *[1] * (x.dim() - 1))
        weights[f'{REG}.{part}'] = (x.double() * scale).to(x.dtype)
    return f'box branch rescaled from stds {tuple(old)} to {tuple(new)}'


def _by_anchor(x: Tensor, count: int) -> Tensor:
    return x.reshape(count, -1, *x.shape[1:])
