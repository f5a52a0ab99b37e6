"""A backbone of two convolutions, with dropout, for runs of seconds."""

from mmengine.model import BaseModule
from torch import Tensor, nn

from freeanchor.registry import MODELS


@MODELS.register_module()
class ToyBackbone(BaseModule):
    """Maps of 16 and 32 channels at strides 8 and 16."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 7, stride=4, padding=3), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.middle = nn.Sequential(nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU())
        self.top = nn.Sequential(nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU())
        self.dropout = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        middle = self.dropout(self.middle(self.stem(x)))
        return middle, self.top(middle)
