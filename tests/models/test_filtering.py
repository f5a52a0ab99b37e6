"""Convolution by tiles against PyTorch's."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from freeanchor.models.convolution import Conv2d
from freeanchor.models.filtering import FilteredConvolution, suits_filtering


def inputs(shape: tuple[int, ...], num_out: int, dtype: torch.dtype) -> list[Tensor]:
    x = torch.randn(shape, dtype=dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(num_out, shape[1], 3, 3, dtype=dtype) / shape[1] ** 0.5
    bias = torch.randn(num_out, dtype=dtype)
    return [t.requires_grad_() for t in (x, weight, bias)]


@pytest.mark.parametrize(
    'shape', [(1, 3, 4, 4), (2, 5, 13, 30), (1, 2, 1, 1), (1, 2, 70, 66), (3, 4, 3, 9)]
)
def test_value_and_gradients_are_exact_up_to_rounding(shape: tuple[int, ...]) -> None:
    leaves = inputs(shape, 6, torch.float64)
    found, expected = FilteredConvolution.apply(*leaves), F.conv2d(*leaves, padding=1)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    upstream = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad(found, leaves, upstream),
        torch.autograd.grad(expected, leaves, upstream),
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_float32_loses_less_than_a_digit() -> None:
    """Relative error of value and gradients at most 1e-5 (plain: about 1e-6)."""
    leaves = inputs((1, 128, 32, 28), 128, torch.float32)
    wide = [x.detach().double().requires_grad_() for x in leaves]
    found, expected = FilteredConvolution.apply(*leaves), F.conv2d(*wide, padding=1)
    upstream = torch.randn_like(expected)
    pairs = [(found, expected)]
    pairs += zip(
        torch.autograd.grad(found, leaves, upstream.float()),
        torch.autograd.grad(expected, wide, upstream),
    )
    for ours, theirs in pairs:
        assert (ours.double() - theirs).norm() < 1e-5 * theirs.norm()


def test_without_bias_and_for_a_frozen_input() -> None:
    x, weight, _ = inputs((1, 3, 9, 9), 4, torch.float64)
    x.requires_grad_(False)
    out = FilteredConvolution.apply(x, weight, None)
    (found,) = torch.autograd.grad(out.sum(), [weight])
    (expected,) = torch.autograd.grad(F.conv2d(x, weight, padding=1).sum(), [weight])
    torch.testing.assert_close(found, expected)


def test_the_result_may_be_changed_in_place() -> None:
    leaves = inputs((1, 3, 8, 8), 4, torch.float64)
    out = FilteredConvolution.apply(*leaves).relu_()
    expected = F.conv2d(*leaves, padding=1).relu()
    torch.testing.assert_close(
        torch.autograd.grad(out.sum(), leaves),
        torch.autograd.grad(expected.sum(), leaves),
    )


@pytest.mark.parametrize(
    ('conv', 'size', 'suits'),
    [
        (nn.Conv2d(128, 128, 3, padding=1), 64, True),
        (nn.Conv2d(128, 128, 3, padding=1), 16, False),
        (nn.Conv2d(128, 36, 3, padding=1), 64, False),
        (nn.Conv2d(128, 128, 3, stride=2, padding=1), 64, False),
        (nn.Conv2d(128, 128, 3, padding=1, groups=32), 64, False),
        (nn.Conv2d(128, 128, 1), 64, False),
    ],
)
def test_only_what_gains_is_filtered(conv: nn.Conv2d, size: int, suits: bool) -> None:
    assert suits_filtering(conv, torch.empty(1, 128, size, size)) is suits


def test_a_convolution_that_suits_is_filtered_in_training_on_a_cpu() -> None:
    conv = Conv2d(128, 128, 3, padding=1)
    x = torch.randn(1, 128, 64, 64).contiguous(memory_format=torch.channels_last)
    assert conv(x).grad_fn.name() == 'FilteredConvolutionBackward'
    assert conv(x.contiguous()).grad_fn.name() == 'ConvolutionBackward0'
    with torch.no_grad():
        torch.testing.assert_close(conv(x), conv(x.contiguous()), rtol=1e-4, atol=1e-5)
