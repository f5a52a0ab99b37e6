"""Torchvision's residual blocks, with frozen norms folded into the convolutions."""

from torch import Tensor
from torchvision.models import resnet

from ..convolution import convolve_norm


class BasicBlock(resnet.BasicBlock):
    """Two 3x3 convolutions and a shortcut, of ResNet-18 and 34."""

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(convolve_norm(self.conv1, self.bn1, x))
        out = convolve_norm(self.conv2, self.bn2, out)
        return self.relu(out.add_(_shortcut(self, x)))


class Bottleneck(resnet.Bottleneck):
    """A 3x3 convolution between two 1x1, and a shortcut, of ResNet-50 and up."""

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(convolve_norm(self.conv1, self.bn1, x))
        out = self.relu(convolve_norm(self.conv2, self.bn2, out))
        out = convolve_norm(self.conv3, self.bn3, out)
        return self.relu(out.add_(_shortcut(self, x)))


def _shortcut(block: resnet.BasicBlock | resnet.Bottleneck, x: Tensor) -> Tensor:
    if block.downsample is None:
        return x
    return convolve_norm(block.downsample[0], block.downsample[1], x)
