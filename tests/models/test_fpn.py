import pytest
import torch
from torch import Tensor

from freeanchor.models import FPN

MAPS = [torch.randn(1, c, s, s) for c, s in ((8, 16), (16, 8), (32, 4))]


def fpn(**settings: object) -> FPN:
    return FPN([8, 16, 32], out_channels=6, num_outs=5, **settings)


def test_levels_halve_beyond_the_backbone() -> None:
    assert [x.shape for x in fpn()(MAPS)] == [(1, 6, s, s) for s in (16, 8, 4, 2, 1)]


def test_start_level_leaves_out_the_finest_maps() -> None:
    neck = FPN([8, 16, 32], out_channels=6, num_outs=3, start_level=1)
    assert [x.shape[-1] for x in neck(MAPS)] == [8, 4, 2]


def test_coarse_maps_reach_fine_ones_but_not_back() -> None:
    neck = fpn()
    for changed, unmoved in ((2, []), (0, [1, 2, 3, 4])):
        maps = [x.clone() for x in MAPS]
        maps[changed] += 1
        same = [
            level
            for level, (a, b) in enumerate(zip(neck(MAPS), neck(maps)))
            if torch.equal(a, b)
        ]
        assert same == unmoved


def extra_input(neck: FPN) -> Tensor:
    seen: list[Tensor] = []
    neck.fpn_convs[3].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    neck(MAPS)
    return seen[0]


def test_extra_levels_come_from_where_they_should() -> None:
    assert torch.equal(extra_input(fpn(add_extra_convs='on_input')), MAPS[2])
    neck = fpn(add_extra_convs='on_output')
    assert torch.equal(extra_input(neck), neck(MAPS)[2])
    neck = fpn(add_extra_convs='on_lateral')
    assert torch.equal(extra_input(neck), neck.lateral_convs[2](MAPS[2]))


def test_a_relu_stands_between_extra_levels_only_if_asked() -> None:
    plain, rectified = fpn(), fpn(relu_before_extra_convs=True)
    rectified.load_state_dict(plain.state_dict())
    outs = plain(MAPS)
    torch.testing.assert_close(rectified(MAPS)[3], outs[3])
    torch.testing.assert_close(rectified(MAPS)[4], plain.fpn_convs[4](outs[3].relu()))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(add_extra_convs='on_top'), "on_lateral.*not 'on_top'"),
        (dict(num_outs=2), 'num_outs=2 is below the 3 maps'),
    ],
)
def test_a_wrong_argument_is_told_with_what_is_right(
    settings: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        FPN(**{**dict(in_channels=[8, 16, 32], out_channels=6, num_outs=5), **settings})


def test_another_number_of_maps_is_refused() -> None:
    with pytest.raises(ValueError, match=r'3 maps, got 2.*backbone\.out_indices'):
        fpn()(MAPS[:2])
