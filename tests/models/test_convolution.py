"""Our convolutions against PyTorch's, values and gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from freeanchor.models import convolution
from freeanchor.models.convolution import (
    Conv2d,
    convolve_norm,
    folded,
    weight_gradient,
)

CHANNELS_LAST = torch.channels_last


def image(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    x = torch.randn(shape, dtype=dtype).contiguous(memory_format=CHANNELS_LAST)
    return x.requires_grad_()


def gradients(conv: nn.Module, x: Tensor) -> list[Tensor]:
    out = conv(x)
    torch.manual_seed(1)
    return [
        out,
        *torch.autograd.grad(out, [x, *conv.parameters()], torch.randn_like(out)),
    ]


SETTINGS = [
    dict(kernel_size=3, padding=1),
    dict(kernel_size=3, padding=1, bias=False),
    dict(kernel_size=3, stride=2, padding=1),
    dict(kernel_size=3, padding=2, dilation=2),
    dict(kernel_size=(3, 5), stride=(1, 2), padding=(0, 2)),
    dict(kernel_size=7, stride=2, padding=3),
    dict(kernel_size=1, stride=2),
    dict(kernel_size=3, padding='same'),
    dict(kernel_size=3, padding=1, groups=2),
]


@pytest.fixture(autouse=True)
def of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, 'MIN_WORK', 0)


@pytest.mark.parametrize('settings', SETTINGS, ids=str)
@pytest.mark.parametrize('size', [(7, 9), (16, 12)])
def test_value_and_gradients_are_those_of_nn_conv2d(
    settings: dict, size: tuple[int, int]
) -> None:
    ours = Conv2d(4, 6, dtype=torch.float64, **settings).to(memory_format=CHANNELS_LAST)
    theirs = nn.Conv2d(4, 6, dtype=torch.float64, **settings)
    theirs.load_state_dict(ours.state_dict())
    x = image(2, 4, *size)
    for found, expected in zip(gradients(ours, x), gradients(theirs, x)):
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_the_gradient_of_the_weight_keeps_the_weights_layout() -> None:
    conv = Conv2d(4, 6, 3, padding=1).to(memory_format=CHANNELS_LAST)
    out = conv(image(1, 4, 8, 8, dtype=torch.float32)).sum()
    (grad,) = torch.autograd.grad(out, conv.weight)  # before it is accumulated
    assert grad.is_contiguous(memory_format=CHANNELS_LAST)


class Standardised(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 0


def test_convolutions_of_another_kind_and_watched_ones_are_called() -> None:
    norm, x = nn.BatchNorm2d(6).eval(), image(1, 4, 8, 8, dtype=torch.float32)
    assert not convolve_norm(Standardised(4, 6, 3), norm, x).any()
    conv, seen = nn.Conv2d(4, 6, 3), []
    conv.register_forward_hook(lambda *_: seen.append('called'))
    convolve_norm(conv, norm, x)
    assert seen == ['called']


def test_products_give_the_gradient_that_autograd_gives() -> None:
    x, weight = image(2, 3, 10, 11), torch.randn(5, 3, 3, 3, dtype=torch.float64)
    weight.requires_grad_()
    out = F.conv2d(x, weight, None, 2, 1)
    grad = torch.randn_like(out).contiguous(memory_format=CHANNELS_LAST)
    expected = torch.autograd.grad(out, weight, grad)[0]
    found = weight_gradient(grad, x.detach(), (3, 3), (2, 2), (1, 1), (1, 1))
    torch.testing.assert_close(found, expected)


def norm_and_conv(
    size: int, bias: bool = False, affine: bool = True
) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    conv = nn.Conv2d(3, size, 3, padding=1, bias=bias, dtype=torch.float64)
    norm = nn.BatchNorm2d(size, affine=affine, dtype=torch.float64).eval()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    return conv, norm


@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('affine', [False, True])
@pytest.mark.parametrize('side', [2, 12])  # below and above the weight's size
def test_a_norm_that_stands_still_is_one_with_its_convolution(
    bias: bool, affine: bool, side: int
) -> None:
    conv, norm = norm_and_conv(8, bias, affine)
    x = image(2, 3, side, side)
    leaves = [x, *conv.parameters(), *norm.parameters()]
    expected, found = norm(conv(x)), convolve_norm(conv, norm, x)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    upstream = torch.randn_like(expected)
    pairs = zip(
        torch.autograd.grad(found, leaves, upstream),
        torch.autograd.grad(expected, leaves, upstream),
    )
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_folding_saves_no_copy_of_the_output_for_the_backward_pass() -> None:
    conv, norm = norm_and_conv(8)
    x = image(2, 3, 12, 12)
    saved: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        saved.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        out = convolve_norm(conv, norm, x)
    assert out.numel() not in saved


def test_a_norm_that_takes_statistics_takes_them() -> None:
    conv, norm = norm_and_conv(8)
    norm.train()
    before = norm.running_mean.clone()
    out = convolve_norm(conv, norm, image(2, 3, 12, 12))
    assert not torch.equal(norm.running_mean, before)
    assert out.mean(dim=(0, 2, 3)).allclose(norm.bias, atol=1e-6)


def test_folded_weights_are_those_of_one_convolution() -> None:
    conv, norm = norm_and_conv(8, bias=True)
    x = torch.randn(1, 3, 5, 5, dtype=torch.float64)
    weight, bias = folded(conv, norm)
    torch.testing.assert_close(
        F.conv2d(x, weight, bias, padding=1), norm(conv(x)), rtol=1e-11, atol=1e-11
    )
