import pytest
import torch
from torchvision.models import regnet_y_400mf

from freeanchor.models import TorchvisionBackbone

REGNET = tuple(f'trunk_output.block{i}' for i in (2, 3, 4))
SWIN = ('features.3', 'features.5', 'features.7')


@pytest.mark.parametrize(
    ('name', 'nodes'), [('regnet_y_400mf', REGNET), ('swin_t', SWIN)]
)
def test_maps_are_channels_first_whatever_the_trunk(name: str, nodes: tuple) -> None:
    trunk = TorchvisionBackbone(name, nodes).eval()
    with torch.no_grad():
        maps = trunk(torch.rand(2, 3, 64, 96))
    assert tuple(x.shape[1] for x in maps) == trunk.out_channels
    assert [tuple(x.shape[2:]) for x in maps] == [(8, 12), (4, 6), (2, 3)]


def test_weights_are_found_under_torchvisions_names(tmp_path) -> None:
    source = regnet_y_400mf()
    torch.save(source.state_dict(), tmp_path / 'regnet.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'regnet.pth'))
    trunk = TorchvisionBackbone('regnet_y_400mf', REGNET, init_cfg=init)
    trunk.init_weights()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        found = trunk.eval()(images)[-1]
        expected = source.eval().trunk_output(source.stem(images))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('norm_eval', [True, False])
def test_statistics_are_held_if_asked_for(norm_eval: bool) -> None:
    trunk = TorchvisionBackbone('regnet_y_400mf', REGNET, norm_eval=norm_eval).train()
    before = {k: v.clone() for k, v in trunk.named_buffers()}
    trunk(torch.rand(2, 3, 64, 64))
    same = all(torch.equal(v, before[k]) for k, v in trunk.named_buffers())
    assert same == norm_eval


def test_nodes_come_in_the_order_they_are_named() -> None:
    there = TorchvisionBackbone('regnet_y_400mf', REGNET)
    back = TorchvisionBackbone('regnet_y_400mf', REGNET[::-1])
    assert back.out_channels == there.out_channels[::-1]


@pytest.mark.parametrize(
    ('name', 'nodes', 'message'),
    [('resnet_51', REGNET, "no 'resnet_51'"), ('resnet18', REGNET, 'backbone.nodes')],
)
def test_what_torchvision_does_not_have_is_named(name, nodes, message) -> None:
    with pytest.raises(ValueError, match=message):
        TorchvisionBackbone(name, nodes)
