"""ResNet and ResNeXt as torchvision builds them, with their parameter names."""

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models import resnet

from freeanchor.registry import MODELS

from ..convolution import convolve_norm
from .blocks import BasicBlock, Bottleneck

LAYOUTS = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}

STAGES = ('layer1', 'layer2', 'layer3', 'layer4')


@MODELS.register_module()
class ResNet(BaseModule):
    """The stages of a ResNet, https://arxiv.org/abs/1512.03385.

    Args:
        depth: Number of layers: 18, 34, 50, 101 or 152.
        out_indices: Stages whose output is returned, 0 to 3, of stride 4 to 32.
            Those after the last are left out.
        frozen_stages: The stem and this many stages are not trained; -1 to
            train all.
        norm_eval: Keep batch normalisation at its running statistics.
        norm_requires_grad: Train the scale and shift of batch normalisation.
        style: Where a bottleneck has its stride: in the 3x3 convolution
            (``'pytorch'``) or in the first 1x1 (``'caffe'``, the original).
        groups: Groups of the 3x3 convolutions.
        base_width: Width of a group in the first stage.
        init_cfg: Where to load pretrained weights from.
    """

    def __init__(
        self,
        depth: int,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = 1,
        norm_eval: bool = True,
        norm_requires_grad: bool = True,
        style: str = 'pytorch',
        groups: int = 1,
        base_width: int = 64,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        _check(depth, out_indices, frozen_stages, style)
        block, layers = LAYOUTS[depth]
        trunk = resnet.ResNet(block, layers, groups=groups, width_per_group=base_width)
        del trunk.avgpool, trunk.fc
        for stage in range(max(out_indices) + 1, len(STAGES)):
            delattr(trunk, STAGES[stage])  # nothing reads it, nothing would train it
        for name, child in trunk.named_children():
            self.add_module(name, child)
        if style == 'caffe':
            _stride_first(self)

        self.out_indices = tuple(out_indices)
        self.norm_eval = norm_eval
        self.frozen_stages = frozen_stages
        for module in self._frozen():
            module.requires_grad_(False)
        if not norm_requires_grad:
            for norm in self._norms():
                norm.requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """``(B, 3, H, W)`` to one ``(B, C_i, H_i, W_i)`` per ``out_indices``."""
        x = self.maxpool(self.relu(convolve_norm(self.conv1, self.bn1, images)))
        outs = []
        for stage in self._stages():
            x = stage(x)
            outs.append(x)
        return tuple(outs[i] for i in self.out_indices)

    def train(self, mode: bool = True) -> 'ResNet':
        super().train(mode)
        for module in self._frozen():
            module.eval()
        if self.norm_eval:
            for norm in self._norms():
                norm.eval()
        return self

    def _stages(self) -> list[nn.Module]:
        return [getattr(self, name) for name in STAGES if hasattr(self, name)]

    def _frozen(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        return [self.conv1, self.bn1, *self._stages()[: self.frozen_stages]]

    def _norms(self) -> list[nn.Module]:
        # SyncBatchNorm, which a runner may put in their place, is no BatchNorm2d.
        return [x for x in self.modules() if isinstance(x, _BatchNorm)]


@MODELS.register_module()
class ResNeXt(ResNet):
    """A ResNet of wide, grouped 3x3 convolutions, https://arxiv.org/abs/1611.05431.

    ``32 x 4d`` means 32 groups of base width 4. Other arguments are those of
    :class:`ResNet`.
    """

    def __init__(
        self, depth: int, groups: int = 32, base_width: int = 4, **kwargs: Any
    ) -> None:
        super().__init__(depth, groups=groups, base_width=base_width, **kwargs)


def _check(
    depth: int, out_indices: Sequence[int], frozen_stages: int, style: str
) -> None:
    if depth not in LAYOUTS:
        raise ValueError(f'backbone.depth is one of {sorted(LAYOUTS)}, not {depth}')
    if style not in ('pytorch', 'caffe'):
        raise ValueError(f"backbone.style is 'pytorch' or 'caffe', not {style!r}")
    if not set(out_indices) <= set(range(4)):
        raise ValueError(
            f'backbone.out_indices are among 0, 1, 2, 3, not {out_indices}'
        )
    if not -1 <= frozen_stages <= 4:
        raise ValueError(f'backbone.frozen_stages is -1 to 4, not {frozen_stages}')


def _stride_first(trunk: nn.Module) -> None:
    for block in trunk.modules():
        if isinstance(block, resnet.Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)
