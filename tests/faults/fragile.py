"""Toy networks that some images break, and a data set that one image blocks."""

import torch
from torch import Tensor

from freeanchor.registry import MODELS

from .toy import ToyBackbone


@MODELS.register_module()
class FragileBackbone(ToyBackbone):
    """Divides each image by the contrast of its centre, which may have none."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        centre = x[..., 24:40, 24:40].flatten(2)  # (B, 3, 256)
        contrast = (centre.amax(dim=2) - centre.amin(dim=2)).mean(dim=1)
        return super().forward(x / contrast.view(-1, 1, 1, 1))


@MODELS.register_module()
class GreedyBackbone(ToyBackbone):
    """Runs out of GPU memory with more than so many images, on any device."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.training and len(x) > self.most:
            raise torch.OutOfMemoryError('CUDA out of memory.')
        return super().forward(x)
