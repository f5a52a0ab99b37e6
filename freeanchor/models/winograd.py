"""3 x 3 convolutions on a CPU with a quarter of the multiplications.

Minimal filtering F(4 x 4, 3 x 3), https://arxiv.org/abs/1509.09308: a tile of
6 x 6 inputs and the kernel are mapped to 36 values each, multiplied, and mapped
back to 4 x 4 outputs. The products over channels are 36 matrix products. GPU
libraries do this by themselves; the CPU library under torch does not.
"""

import torch
from torch import Tensor, nn

from .convolution import is_plain
from .tile_maps import KERNEL_MAP, map_inputs, map_outputs

TILES = 256
"""Tiles in work at a time, so that they stay in the processor's cache."""
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
        batch, channels, height, width = x.shape
        rows, columns = -(-height // 4), -(-width // 4)
        if rows * columns < MIN_TILES:
            return super()._conv_forward(x, weight, bias)
        padded = x.new_zeros(batch, rows * 4 + 2, columns * 4 + 2, channels)
        padded[:, 1 : height + 1, 1 : width + 1] = x.permute(0, 2, 3, 1)
        out = x.new_empty(batch, rows * 4, columns * 4, self.mapped.shape[2])
        step = max(1, TILES // columns)
        for image in range(batch):
            for top in range(0, rows, step):
                here = slice(top * 4, min(top + step, rows) * 4)
                source = padded[image, here.start : here.stop + 2]
                self._convolve(source, out[image, here])
        out = out[:, :height, :width].permute(0, 3, 1, 2)
        return out.contiguous(memory_format=torch.channels_last)

    def _convolve(self, source: Tensor, out: Tensor) -> None:
        """``(4 R + 2, 4 S + 2, C_in)`` into ``(4 R, 4 S, C_out)``: R x S tiles."""
        channels, width = self.mapped.shape[1:]
        rows, columns = out.shape[0] // 4, out.shape[1] // 4
        tall = source.new_empty(6, rows, source.shape[1], channels)
        map_inputs([source[i : i + 4 * rows - 3 : 4] for i in range(6)], tall)
        tiles = source.new_empty(6, 6, rows, columns, channels)
        map_inputs(
            [tall[:, :, j : j + 4 * columns - 3 : 4] for j in range(6)],
            tiles.unbind(1),
        )
        products = torch.bmm(tiles.view(36, -1, channels), self.mapped)
        products = products.view(6, 6, rows, columns, width)
        tall = source.new_empty(4, 6, rows, columns, width)
        map_outputs(products.unbind(0), tall)
        # (column in tile, row in tile, R, S, C_out)
        places = out.view(rows, 4, columns, 4, width).permute(3, 1, 0, 2, 4)
        map_outputs(tall.unbind(1), places)
        if self.bias is not None:
            out += self.bias


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
