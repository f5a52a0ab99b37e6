"""Converted weights and the model that is to have them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import Tensor

from .channels import rescale_deltas
from .convert import Converted


def misfits(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """What is missing in ``weights``, has another shape or is not in the model.

    Args:
        weights: Of a file, by our names.
        own: The model's.
    """
    wrong = []
    for name, tensor in own.items():
        if name not in weights:
            wrong.append(f'{name} is missing')
        elif weights[name].shape != tensor.shape:
            shape = tuple(weights[name].shape)
            wrong.append(f'{name} is {shape}, not {tuple(tensor.shape)}')
    return wrong + [
        f'{name} is not in the model' for name in weights if name not in own
    ]


def rescaled(converted: Converted, stds: Sequence[float]) -> tuple[Converted, str]:
    """Let the box branch write deltas for a coder with these ``stds``.

    Args:
        converted: Its weights are not changed.
        stds: Of the box coder, four.

    Returns:
        The weights for it, and what was done, if anything was.
    """
    stds = tuple(map(float, stds))
    old = converted.settings.stds
    if old is None:
        note = f'the file does not say its box stds; taken to be {stds}'
    else:
        weights = dict(converted.weights)
        note = rescale_deltas(weights, old, stds)
        converted = replace(converted, weights=weights)
    settings = replace(converted.settings, stds=stds)
    return replace(converted, settings=settings), note
