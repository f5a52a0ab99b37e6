import pytest
import torch
from torch import nn

from freeanchor.models.winograd import WinogradConv2d, suits_winograd, use_winograd


def conv(*args: int, **kwargs: object) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(*args, **{'padding': 1, **kwargs}).requires_grad_(False)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('size', [(40, 56), (41, 55), (9, 70), (3, 200), (2, 2)])
@pytest.mark.parametrize('bias', [True, False])
def test_it_is_the_convolution_it_is_made_from(
    size: tuple[int, int], dtype: torch.dtype, bias: bool
) -> None:
    plain = conv(32, 24, 3, bias=bias).to(dtype)
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 32, *size, dtype=dtype).to(memory_format=layout)
        expected = plain(x)
        # Outputs are up to 3; a direct float32 convolution is off by 1e-6.
        tolerance = 3e-5 if dtype is torch.float32 else 1e-13
        found = WinogradConv2d(plain)(x)
        torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


def test_the_result_is_channels_last_so_that_heads_read_it_without_a_copy() -> None:
    for size in ((40, 56), (41, 55)):
        out = WinogradConv2d(conv(8, 8, 3))(torch.randn(2, 8, *size))
        assert out.is_contiguous(memory_format=torch.channels_last)


def test_many_tiles_are_done_in_pieces_of_equal_results() -> None:
    plain = conv(4, 4, 3)
    x = torch.randn(1, 4, 130, 260)  # 33 x 65 tiles, 3 rows at a time
    torch.testing.assert_close(WinogradConv2d(plain)(x), plain(x), atol=3e-5, rtol=0)


@pytest.mark.parametrize(
    'other',
    [
        conv(128, 128, 3, stride=2),
        conv(128, 128, 1, padding=0),
        conv(128, 128, 3, dilation=2, padding=2),
        conv(128, 128, 3, groups=2),
        conv(128, 128, 3, padding_mode='reflect'),
        conv(64, 128, 3),
        conv(128, 128, 3).bfloat16(),
        nn.ReLU(),
    ],
)
def test_other_convolutions_are_left_alone(other: nn.Module) -> None:
    assert suits_winograd(conv(128, 128, 3))
    assert not suits_winograd(other)
    model = nn.Sequential(other)
    assert use_winograd(model)[0] is other


def test_a_convolution_in_two_places_is_replaced_in_both_and_keys_stay() -> None:
    shared = conv(128, 128, 3)
    model = nn.ModuleDict({'a': shared, 'b': nn.Sequential(shared)})
    keys = list(model.state_dict())
    use_winograd(model)
    assert isinstance(model['a'], WinogradConv2d)
    assert isinstance(model['b'][0], WinogradConv2d)
    assert list(model.state_dict()) == keys
