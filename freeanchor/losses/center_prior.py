"""Where in its objects a class is best found, learned."""

import torch
from torch import Tensor, nn


class CenterPrior(nn.Module):
    """A normal distribution around the centre of an object, one for each class.

    From AutoAssign, https://arxiv.org/abs/2007.03496, section 3.3.

    Args:
        num_classes: Classes, without background.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(num_classes, 2))
        self.sigma = nn.Parameter(torch.ones(num_classes, 2))

    def forward(self, offset: Tensor, label: Tensor) -> Tensor:
        """Logarithm of the prior, 0 at its peak.

        Args:
            offset: ``(N, 2)`` from the objects' centres, in strides.
            label: ``(N,)`` int64 classes of the objects.

        Returns:
            ``(N,)``
        """
        distance = (offset - self.mean[label]) / self.sigma[label]
        return -distance.square().sum(dim=-1) / 2
