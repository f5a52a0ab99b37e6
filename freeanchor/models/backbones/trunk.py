"""What trunks of other libraries need to serve as backbones."""

from collections.abc import Sequence

from mmengine.model import BaseModule, initialize
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def channels_first(maps: Sequence[Tensor], layout: str) -> tuple[Tensor, ...]:
    """Feature maps as ``(B, C_i, H_i, W_i)``.

    Args:
        maps: As the trunk gives them.
        layout: ``'NCHW'``, or ``'NHWC'`` as of Swin and its like.
    """
    if layout == 'NHWC':
        return tuple(x.permute(0, 3, 1, 2) for x in maps)
    return tuple(maps)


def hold_statistics(trunk: nn.Module) -> None:
    """Keep batch normalisation at its running statistics."""
    for module in trunk.modules():
        if isinstance(module, _BatchNorm):
            module.eval()


def init_trunk(backbone: BaseModule, trunk: nn.Module) -> None:
    """Load what ``backbone.init_cfg`` names into the trunk, whose names it has."""
    if backbone.init_cfg and not backbone.is_init:
        initialize(trunk, backbone.init_cfg)
        backbone.is_init = True
