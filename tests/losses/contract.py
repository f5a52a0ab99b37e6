"""Every registered loss, and the heads and scenes to try it on."""

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from freeanchor.losses import DenseLoss
from freeanchor.registry import MODELS
from freeanchor.structures import DensePredictions, Objects
from tests.batches import sample

MODELS.import_from_location()
LOSSES = sorted(
    name
    for name, kind in MODELS.module_dict.items()
    if isinstance(kind, type)
    and issubclass(kind, DenseLoss)
    and kind.__module__.startswith('freeanchor.')
)
NUM_CLASSES = 3

OBJECT = sample([[8, 8, 40, 40]], [1])
EMPTY = sample([], [])
SCENES = {
    'typical': (OBJECT, sample([[4, 6, 40, 44], [30, 2, 60, 62]], [0, 2])),
    'one image without objects': (EMPTY, OBJECT),
    'no objects in the batch': (EMPTY, EMPTY),
    'the same box twice': (sample([[8, 8, 40, 40]] * 2, [1, 1]), OBJECT),
    'two labels on one box': (sample([[8, 8, 40, 40]] * 2, [1, 2]), OBJECT),
    'tiny and huge': (
        sample([[30, 30, 32, 32], [31, 9, 33, 11]], [0, 1]),
        sample([[0, 0, 64, 64]], [2]),
    ),
    'partly outside': (sample([[-20, -20, 20, 20]], [0]), OBJECT),
    'crowded': (sample([[i, i, i + 30, i + 30] for i in range(30)], [0] * 30), OBJECT),
    'padded': (sample([[8, 8, 30, 30]], [1], img_shape=(32, 40)), OBJECT),
}
ONE_ANCHOR = dict(ratios=[1.0], scales=[4.0])
HEADS: dict[str, dict[str, Any]] = {
    'nine anchors': {},
    'nine anchors and quality': dict(with_quality=True),
    'one anchor': ONE_ANCHOR,
    'one anchor and quality': dict(with_quality=True, **ONE_ANCHOR),
}
EXTREMES = ['nine anchors', 'one anchor and quality']


def build(name: str, **changes: Any) -> nn.Module:
    """A loss with its own settings; with the batches' classes if it asks."""
    if takes(name, 'num_classes'):
        changes['num_classes'] = NUM_CLASSES
    return MODELS.build(dict(type=name, **changes))


def takes(name: str, argument: str) -> bool:
    return argument in inspect.signature(MODELS.get(name)).parameters


def images(batch: DensePredictions, rows: Sequence[int]) -> DensePredictions:
    """Some of the images, in this order."""
    index = torch.tensor(rows)
    return replace(
        batch,
        logits=tuple(x[index] for x in batch.logits),
        deltas=tuple(x[index] for x in batch.deltas),
        quality=tuple(x[index] for x in batch.quality),
    )


class Network(nn.Module):
    """Predictions that are parameters, and the loss they are trained for."""

    def __init__(self, batch: DensePredictions, loss: nn.Module) -> None:
        super().__init__()
        self.batch = batch
        self.logits = nn.ParameterList(x.detach() for x in batch.logits)
        self.deltas = nn.ParameterList(x.detach() for x in batch.deltas)
        self.quality = nn.ParameterList(x.detach() for x in batch.quality)
        self.loss = loss

    def forward(self, objects: Objects) -> Tensor:
        predictions = replace(
            self.batch,
            logits=tuple(self.logits),
            deltas=tuple(self.deltas),
            quality=tuple(self.quality),
        )
        return sum(self.loss(predictions, objects).values())
