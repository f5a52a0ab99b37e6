"""Undo what a batch did to the running statistics of normalisation layers."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase


class RunningStatistics:
    """A copy of the statistics that a forward pass is about to change.

    The forward pass changes them long before anyone can judge the step. Layers
    that are frozen, as those of a pretrained backbone are by default, cost
    nothing.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[Tensor, Tensor]] = []

    def keep(self, model: nn.Module) -> None:
        """Copy them, unless a copy from before the same step is kept already."""
        if self._kept:
            return
        for layer in model.modules():
            if isinstance(layer, _NormBase) and layer.training:
                self._kept += [(x, x.clone()) for x in layer.buffers(recurse=False)]

    @torch.no_grad()
    def restore_if(self, found: Tensor) -> None:
        """Put the copy back where ``found``, a scalar, is 1; then forget it."""
        for statistic, before in self._kept:
            statistic.copy_(
                torch.where(found.to(statistic.device) > 0, before, statistic)
            )
        self._kept = []
