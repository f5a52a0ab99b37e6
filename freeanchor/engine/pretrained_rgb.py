"""Start a network that sees plain BGR values from weights for normalised RGB."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from freeanchor.registry import WEIGHT_INITIALIZERS

from .pretrained import Pretrained


@WEIGHT_INITIALIZERS.register_module()
class PretrainedOnRGB:
    """:class:`Pretrained`, with the first convolution rewritten for BGR input.

    A trunk that was trained on RGB pictures divided by ``std`` answers the same
    to undivided BGR ones once its first kernel is turned round in its channels
    and divided by ``std`` instead. Both have their means taken away before; a
    difference of means moves the answer a little.

    Used through ``init_cfg=dict(type='PretrainedOnRGB', ...)`` of a ResNet.

    Args:
        checkpoint: See :class:`Pretrained`.
        std: Of red, green and blue, what pictures were divided by in training.
        prefix: See :class:`Pretrained`.

    Raises:
        CheckpointError: See :class:`Pretrained`.
    """

    def __init__(
        self, checkpoint: str, std: Sequence[float], prefix: str | None = None
    ) -> None:
        self.pretrained = Pretrained(checkpoint, prefix)
        self.std = tuple(std)

    @torch.no_grad()
    def __call__(self, module: Any) -> None:
        self.pretrained(module)
        first: nn.Conv2d = module.conv1
        std = first.weight.new_tensor(self.std)[:, None, None]
        first.weight.copy_((first.weight / std).flip(1))
