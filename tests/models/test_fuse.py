"""Folded detectors and trunks against the same ones as they were."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from freeanchor.models import ResNet, ResNeXt, TimmBackbone
from freeanchor.models.fuse import fuse

from .detectors import small_detector

IMAGE = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def with_statistics(model: nn.Module) -> nn.Module:
    """Normalisations as after some training, so that folding them matters."""
    generator = torch.Generator().manual_seed(1)

    def spread(x: Tensor, low: float, high: float) -> None:
        x.data.uniform_(low, high, generator=generator)

    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            spread(module.running_mean, -0.3, 0.3)
            spread(module.running_var, 0.5, 1.5)
            spread(module.weight, 0.5, 1.0)
            spread(module.bias, -0.3, 0.3)
    return model.eval()


def norms(model: nn.Module) -> int:
    return sum(isinstance(x, nn.BatchNorm2d) for x in model.modules())


def assert_same(fused: Any, plain: Any) -> None:
    for x, y in zip(fused, plain, strict=True):
        torch.testing.assert_close(x, y, atol=2e-5 * float(y.abs().max()), rtol=0)


@pytest.mark.parametrize(
    'trunk',
    [
        ResNet(18),
        ResNet(50),
        ResNet(50, style='caffe'),
        ResNeXt(50, groups=32, base_width=4),
        TimmBackbone('resnet26', (2, 3), pretrained=False),
        TimmBackbone('efficientnet_lite0', (2, 3, 4), pretrained=False),
    ],
    ids=['r18', 'r50', 'caffe', 'resnext', 'timm_resnet', 'timm_efficientnet'],
)
def test_a_trunk_without_normalisations_gives_the_same_maps(trunk: nn.Module) -> None:
    plain = with_statistics(copy.deepcopy(trunk))
    fused = fuse(copy.deepcopy(plain), IMAGE)
    assert norms(plain) > 0
    assert norms(fused) == 0
    with torch.no_grad():
        assert_same(fused(IMAGE), plain(IMAGE))


def test_only_keys_of_normalisations_go_and_biases_come() -> None:
    plain = with_statistics(small_detector())
    fused = fuse(copy.deepcopy(plain), IMAGE)
    before, after = set(plain.state_dict()), set(fused.state_dict())
    gone, new = before - after, after - before
    assert all('.bn' in key or '.downsample.1.' in key for key in gone)
    assert len(gone) == 5 * 20
    assert len(new) == 20
    assert all(key.endswith('.bias') for key in new)


def test_the_model_is_left_for_inference_and_its_statistics_alone() -> None:
    plain = with_statistics(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    plain.append(nn.BatchNorm2d(4).train())  # fed by no convolution: stays
    mean = plain[2].running_mean.clone()
    fused = fuse(plain.train(), IMAGE)
    assert isinstance(fused[2], nn.BatchNorm2d)
    assert torch.equal(fused[2].running_mean, mean)
    assert not any(module.training for module in fused.modules())
    assert not any(parameter.requires_grad for parameter in fused.parameters())


class Branch(nn.Module):
    """A convolution whose output is also read before its normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return self.norm(x) + x


class Shared(nn.Module):
    """A convolution of two levels, each with its own normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norms = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        first, second = (norm(self.conv(x)) for norm in self.norms)
        return first + second


@pytest.mark.parametrize('kind', [Branch, Shared])
def test_what_cannot_be_folded_stays(kind: type) -> None:
    plain = with_statistics(kind())
    count = norms(plain)
    fused = fuse(copy.deepcopy(plain), IMAGE)
    assert norms(fused) == count
    with torch.no_grad():
        assert torch.equal(fused(IMAGE), plain(IMAGE))


def test_convolutions_that_change_their_weights_are_left_alone() -> None:
    class Standardised(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)

    plain = with_statistics(nn.Sequential(Standardised(3, 4, 3), nn.BatchNorm2d(4)))
    fused = fuse(copy.deepcopy(plain), IMAGE)
    with torch.no_grad():
        assert torch.equal(fused(IMAGE), plain(IMAGE))
