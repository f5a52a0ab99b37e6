"""Batch normalisation as torch's: with its epsilon and its counter."""

import torch

from .source import Weights

EPS = 1e-5  # of torch.nn.BatchNorm2d
_VAR, _COUNTER = '.running_var', '.num_batches_tracked'


def fold_eps(weights: Weights, eps: float) -> str:
    """Scale weights so that torch's epsilon does what another, ``eps``, did.

    ``w / sqrt(var + eps)`` becomes ``w' / sqrt(var + 1e-5)``. A channel without any
    variance, which is constant, keeps its weight.
    """
    if eps == EPS:
        return ''
    for name in _norms(weights):
        variance = weights[name + _VAR].double()
        ratio = ((variance + EPS) / (variance + eps)).sqrt()
        ratio = torch.where(variance + eps > 0, ratio, 1.0)
        weight = weights[f'{name}.weight']
        weights[f'{name}.weight'] = (weight.double() * ratio).to(weight.dtype)
    return f'epsilon of the norms, {eps:g}, folded into their weights'


def add_counters(weights: Weights) -> None:
    """Frozen norms count no batches; torch's have a counter."""
    for name in _norms(weights):
        weights.setdefault(name + _COUNTER, torch.tensor(0))


def _norms(weights: Weights) -> list[str]:
    return [x.removesuffix(_VAR) for x in weights if x.endswith(_VAR)]
