"""Convolutions that train fast on a CPU, and cost nothing extra for frozen norms.

Maps in channels-last order make a convolution of oneDNN faster, and the
gradient of its weight several times slower. That gradient is a few matrix
products, which are fast in either order; the rest is left to PyTorch.
"""

from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from .filtering import FilteredConvolution, suits_filtering

_DTYPES = (torch.float32, torch.float64)
MIN_WORK = 2**25
"""Products of outputs and input channels; smaller convolutions are faster as
PyTorch has them."""


class Conv2d(nn.Conv2d):
    """``nn.Conv2d`` by way of :func:`convolve`; the same arguments and keys."""

    def forward(self, x: Tensor) -> Tensor:
        return convolve(self, x, self.weight, self.bias)


def convolve_norm(conv: nn.Conv2d, norm: nn.Module, x: Tensor) -> Tensor:
    """``norm(conv(x))``, in one convolution where ``norm`` does not take statistics.

    Batch normalisation by running statistics is an affine map of each channel,
    so it may act on the convolution's weight instead of its output. That spares
    a pass over the output and a copy of it for the backward pass. Gradients
    reach ``norm.weight`` and ``norm.bias`` through the folded weight. A weight
    that is larger than the output is left alone: folding it would cost more.
    """
    if not is_plain(conv) or _is_watched(conv) or _is_watched(norm):
        return norm(conv(x))
    if _is_affine(norm) and conv.weight.numel() <= _num_outputs(conv, x):
        return convolve(conv, x, *folded(conv, norm))
    return norm(convolve(conv, x, conv.weight, conv.bias))


def is_plain(module: nn.Module) -> bool:
    """Whether a module is a convolution by its weight as it is.

    Subclasses elsewhere standardise their weights or pad in their own way.
    """
    return type(module) in (nn.Conv2d, Conv2d)


def _is_watched(module: nn.Module) -> bool:
    """Whether somebody's hooks wait for the module to be called."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


def folded(conv: nn.Conv2d, norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that ``norm(conv(x))`` is.

    ``norm`` is at its running statistics, which it has.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = -norm.running_mean * scale
    if conv.bias is not None:
        shift = shift + conv.bias * scale
    if norm.bias is not None:
        shift = shift + norm.bias
    return conv.weight * scale[:, None, None, None], shift


def convolve(conv: nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``conv`` with other weights: ``(B, C, H, W)`` to ``(B, K, H', W')``."""
    if conv.padding_mode != 'zeros' or isinstance(conv.padding, str):
        return conv._conv_forward(x, weight, bias)
    if _is_slow(conv, x, weight):
        if suits_filtering(conv, x):
            return FilteredConvolution.apply(x, weight, bias)
        return _ChannelsLast.apply(
            x, weight, bias, conv.stride, conv.padding, conv.dilation
        )
    return F.conv2d(
        x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups
    )


def _is_affine(norm: nn.Module) -> TypeGuard[_BatchNorm]:
    return (
        isinstance(norm, _BatchNorm)
        and not norm.training
        and norm.running_mean is not None
        and norm.running_var is not None
    )


def _num_outputs(conv: nn.Conv2d, x: Tensor) -> int:
    batch, _, height, width = x.shape
    return (
        batch
        * conv.out_channels
        * (height // conv.stride[0])
        * (width // conv.stride[1])
    )


def _is_slow(conv: nn.Conv2d, x: Tensor, weight: Tensor) -> bool:
    """Whether the weight's gradient would be found the slow way."""
    return (
        x.device.type == 'cpu'
        and x.dtype in _DTYPES
        and weight.dtype == x.dtype
        and weight.requires_grad
        and torch.is_grad_enabled()
        and conv.groups == 1
        and conv.kernel_size != (1, 1)
        and _num_outputs(conv, x) * conv.in_channels >= MIN_WORK
        and not x.is_contiguous()
        and x.is_contiguous(memory_format=torch.channels_last)
        and not torch.is_autocast_enabled('cpu')
        and not torch.compiler.is_compiling()
    )


class _ChannelsLast(torch.autograd.Function):
    """A convolution of a channels-last map on a CPU; ``F.conv2d`` is its oracle."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = (stride, padding, dilation)
        return F.conv2d(x, weight, bias, stride, padding, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad_x = grad_weight = grad_bias = None
        if needs_x:
            grad_x = _input_gradient(grad, x, weight, *ctx.geometry)
        if needs_weight:
            grad_weight = weight_gradient(grad, x, weight.shape[2:], *ctx.geometry)
        if needs_bias:
            grad_bias = grad.sum(dim=(0, 2, 3))
        return grad_x, grad_weight, grad_bias, None, None, None


def _input_gradient(
    grad: Tensor, x: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any
) -> Tensor:
    return torch.ops.aten.convolution_backward(
        grad, x, weight, None, stride, padding, dilation,
        False, [0, 0], 1, [True, False, False],
    )[0]  # fmt: skip


def weight_gradient(
    grad: Tensor,
    x: Tensor,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> Tensor:
    """Gradient of a convolution's weight, ``(K, C, h, w)`` in channels-last order.

    For each row of the kernel one product: the output's gradient with the
    input as that row sees it, its ``w`` shifted copies side by side.

    Args:
        grad: Gradient of the output, ``(B, K, H', W')``, channels-last.
        x: The input, ``(B, C, H, W)``, channels-last.
        kernel: Height and width of the kernel, ``h`` and ``w``.
        stride: Of the convolution, vertical and horizontal, as the next two are.
        padding: Zeros on each side of the input.
        dilation: Steps between the kernel's taps.
    """
    num_out, num_in, (height, width) = grad.shape[1], x.shape[1], grad.shape[2:]
    pad_y, pad_x = padding
    rows = F.pad(x.permute(0, 2, 3, 1), (0, 0, pad_x, pad_x, pad_y, pad_y))
    shifted = [
        rows[:, :, start : start + (width - 1) * stride[1] + 1 : stride[1]]
        for start in range(0, kernel[1] * dilation[1], dilation[1])
    ]
    rows = torch.cat(shifted, dim=3)  # (B, H, W', w * C)
    found = grad.new_zeros(num_out, kernel[0], kernel[1] * num_in)
    for image_rows, image_grad in zip(rows, grad.permute(0, 2, 3, 1)):
        outs = image_grad.reshape(-1, num_out).t()  # (K, H' * W')
        for i, row in enumerate(found.unbind(1)):
            start = i * dilation[0]
            seen = image_rows[start : start + (height - 1) * stride[0] + 1 : stride[0]]
            row.addmm_(outs, seen.reshape(height * width, -1))
    return found.view(num_out, *kernel, num_in).permute(0, 3, 1, 2)
