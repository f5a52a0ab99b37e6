"""Training 3 x 3 convolutions on a CPU by minimal filtering, gradients included.

Forward and in the gradient of the input a map is convolved tile by tile, with a
quarter of the multiplications (:mod:`.tile_maps`). The gradient of the weight is
found in the same 36 values per tile: the products that the forward pass sums
over channels are summed over tiles instead, and mapped back to 3 x 3.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .tile_maps import KERNEL_MAP, map_inputs, map_outputs, spread_outputs

CHUNK = 256
"""Tiles in work at a time."""
MIN_TILES = 48
MIN_CHANNELS = 128
"""Smaller maps and thinner convolutions gain nothing."""


def suits_filtering(conv: nn.Conv2d, x: Tensor) -> bool:
    """Whether ``conv(x)`` trains faster by tiles."""
    tiles = len(x) * -(-x.shape[2] // 4) * -(-x.shape[3] // 4)
    return (
        conv.kernel_size == (3, 3)
        and conv.stride == conv.dilation == conv.padding == (1, 1)
        and conv.groups == 1
        and min(conv.in_channels, conv.out_channels) >= MIN_CHANNELS
        and tiles >= MIN_TILES
    )


class FilteredConvolution(torch.autograd.Function):
    """A 3 x 3 convolution of stride and padding 1; ``F.conv2d`` is its oracle.

    Takes a channels-last map ``(B, C, H, W)``, a weight ``(K, C, 3, 3)`` and a
    bias ``(K,)`` or None. Rounding errors are about three times those of the
    plain convolution.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return convolve_tiles(x, map_weight(weight).transpose(1, 2), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad_x = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_x = convolve_tiles(grad, map_weight(weight, turned=True), None)
        if ctx.needs_input_grad[1]:
            grad_weight = _weight_gradient(grad, x)
        if ctx.needs_input_grad[2]:
            grad_bias = grad.sum(dim=(0, 2, 3))
        return grad_x, grad_weight, grad_bias


def map_weight(weight: Tensor, turned: bool = False) -> Tensor:
    """``(K, C, 3, 3)`` to the 36 matrices ``(36, K, C)`` that tiles meet.

    ``turned`` by 180 degrees they are those of the input's gradient.
    """
    taps = weight.permute(2, 3, 0, 1).reshape(9, -1)
    return (_both_axes(weight.dtype, turned) @ taps).view(36, *weight.shape[:2])


def _both_axes(dtype: torch.dtype, turned: bool = False) -> Tensor:
    kernel_map = torch.tensor(KERNEL_MAP, dtype=dtype)
    if turned:
        kernel_map = kernel_map.flip(1)
    return torch.kron(kernel_map, kernel_map)  # (36, 9)


def convolve_tiles(x: Tensor, mapped: Tensor, bias: Tensor | None) -> Tensor:
    """``(B, C, H, W)`` to ``(B, K, H, W)``, channels-last; no gradient.

    Args:
        x: The map.
        mapped: ``(36, C, K)``, the mapped weight.
        bias: ``(K,)`` or None.
    """
    batch, _, height, width = x.shape
    num_out = mapped.shape[2]
    padded = _padded(x, 1)
    rows, columns = (padded.shape[1] - 2) // 4, (padded.shape[2] - 2) // 4
    out = torch.empty(
        (batch, num_out, rows * 4, columns * 4),
        dtype=x.dtype,
        memory_format=torch.channels_last,
    )
    places = out.permute(0, 2, 3, 1)
    for image, top, end in _chunks(batch, rows, columns):
        tiles = _input_tiles(padded[image, top * 4 : end * 4 + 2])
        products = torch.bmm(tiles, mapped).view(6, 6, end - top, columns, num_out)
        tall = x.new_empty(4, 6, end - top, columns, num_out)
        map_outputs(products.unbind(0), tall)
        here = places[image, top * 4 : end * 4].view(-1, 4, columns, 4, num_out)
        map_outputs(tall.unbind(1), here.permute(3, 1, 0, 2, 4))
        if bias is not None:
            here += bias
    if out.shape[2:] == x.shape[2:]:
        return out  # itself: a view could not be changed in place
    return out[:, :, :height, :width].clone(memory_format=torch.channels_last)


def _weight_gradient(grad: Tensor, x: Tensor) -> Tensor:
    """``(K, C, 3, 3)`` from channels-last ``grad`` and ``x``."""
    num_out, num_in = grad.shape[1], x.shape[1]
    padded, grads = _padded(x, 1), _padded(grad, 0)
    rows, columns = grads.shape[1] // 4, grads.shape[2] // 4
    found = x.new_zeros(36, num_out, num_in)
    for image, top, end in _chunks(len(x), rows, columns):
        tiles = _input_tiles(padded[image, top * 4 : end * 4 + 2])
        spread = _output_tiles(grads[image, top * 4 : end * 4])
        found.baddbmm_(spread.transpose(1, 2), tiles)
    taps = _both_axes(x.dtype).t() @ found.view(36, -1)
    return taps.view(3, 3, num_out, num_in).permute(2, 3, 0, 1)


def _chunks(batch: int, rows: int, columns: int) -> Iterator[tuple[int, int, int]]:
    """Image, first row of tiles and the one after the last."""
    step = max(1, CHUNK // columns)
    for image in range(batch):
        for top in range(0, rows, step):
            yield image, top, min(top + step, rows)


def _padded(x: Tensor, border: int) -> Tensor:
    """``(B, 4 R + 2 border, 4 S + 2 border, C)``, zeros around the map."""
    batch, channels, height, width = x.shape
    tall, wide = (-(-n // 4) * 4 + 2 * border for n in (height, width))
    if (tall, wide) == (height, width):
        return x.permute(0, 2, 3, 1)
    out = x.new_zeros(batch, tall, wide, channels)
    out[:, border : border + height, border : border + width] = x.permute(0, 2, 3, 1)
    return out


def _input_tiles(source: Tensor) -> Tensor:
    """``(4 R + 2, 4 S + 2, C)`` to ``(36, R * S, C)``, tiles overlapping by 2."""
    rows, columns = (source.shape[0] - 2) // 4, (source.shape[1] - 2) // 4
    tall = source.new_empty(6, rows, *source.shape[1:])
    map_inputs([source[i : i + 4 * rows - 3 : 4] for i in range(6)], tall)
    tiles = source.new_empty(6, 6, rows, columns, source.shape[2])
    views = [tall[:, :, j : j + 4 * columns - 3 : 4] for j in range(6)]
    map_inputs(views, tiles.unbind(1))
    return tiles.view(36, rows * columns, -1)


def _output_tiles(grad: Tensor) -> Tensor:
    """``(4 R, 4 S, K)`` to ``(36, R * S, K)``: the transpose of what makes outputs."""
    rows, columns = grad.shape[0] // 4, grad.shape[1] // 4
    tall = grad.new_empty(6, rows, *grad.shape[1:])
    spread_outputs([grad[i::4] for i in range(4)], tall)
    tiles = grad.new_empty(6, 6, rows, columns, grad.shape[2])
    spread_outputs([tall[:, :, j::4] for j in range(4)], tiles.unbind(1))
    return tiles.view(36, rows * columns, -1)
