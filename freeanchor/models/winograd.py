"""3 x 3 convolutions on a CPU with a quarter of the multiplications.

Minimal filtering F(4 x 4, 3 x 3), https://arxiv.org/abs/1509.09308: a tile of
6 x 6 inputs and the kernel are mapped to 36 values each, multiplied, and mapped
back to 4 x 4 outputs. The products over channels are 36 matrix products. GPU
libraries do this by themselves; the CPU library under torch does not.
"""

import torch
from torch import Tensor, nn

from .convolution import is_plain
from .filtering import convolve_tiles
from .tile_maps import KERNEL_MAP

MIN_TILES = 12
"""Maps of fewer tiles are too small for the matrix products to pay."""
MIN_CHANNELS = 128
"""Below, mapping tiles costs what the matrix products save."""


class WinogradConv2d(nn.Conv2d):
    """A 3 x 3 convolution of stride 1 and padding 1, for inference on a CPU.

    The plain form is the convolution it is made from. Rounding errors are
    about four times those of float32 convolution. There is no gradient for
    the weights.

    Args:
        conv: What it computes; see :func:`suits_winograd`.
    """

    mapped: Tensor  # (36, C_in, C_out)

    def __init__(self, conv: nn.Conv2d) -> None:
        # "Same", because the callers of Conv2d that go by its numbers leave
        # words to its own _conv_forward.
        channels = conv.in_channels, conv.out_channels
        super().__init__(*channels, 3, padding='same', device='meta')
        self.weight, self.bias = conv.weight, conv.bias
        kernel_map = torch.tensor(KERNEL_MAP, dtype=torch.float64)
        with torch.no_grad():
            weight = conv.weight.detach().double()
            mapped = torch.einsum('ap,oipq,bq->abio', kernel_map, weight, kernel_map)
        mapped = mapped.flatten(0, 1).to(conv.weight.dtype).contiguous()
        self.register_buffer('mapped', mapped, persistent=False)

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """``(B, C_in, H, W)`` to ``(B, C_out, H, W)``, channels-last."""
        if -(-x.shape[2] // 4) * -(-x.shape[3] // 4) < MIN_TILES:
            return super()._conv_forward(x, weight, bias)
        return convolve_tiles(x, self.mapped, self.bias)


def suits_winograd(module: nn.Module) -> bool:
    """Whether a module is a convolution that is faster this way, and as exact."""
    return (
        is_plain(module)
        and isinstance(module, nn.Conv2d)
        and module.kernel_size == (3, 3)
        and module.stride == module.dilation == (1, 1)
        and module.padding == (1, 1)
        and module.padding_mode == 'zeros'
        and module.groups == 1
        and min(module.in_channels, module.out_channels) >= MIN_CHANNELS
        # Half precision would lose half of its few digits.
        and module.weight.dtype in (torch.float32, torch.float64)
    )


def use_winograd(model: nn.Module) -> nn.Module:
    """Replace the convolutions of ``model`` that suit, in place; returns it.

    State-dict keys stay. Weights that are loaded afterwards are not seen.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if suits_winograd(child):
                setattr(module, name, WinogradConv2d(child))  # type: ignore[arg-type]
    return model
