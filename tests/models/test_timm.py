import sys

import pytest
import torch

from freeanchor.models import TimmBackbone


@pytest.mark.parametrize('name', ['resnet10t', 'swin_tiny_patch4_window7_224'])
def test_maps_are_channels_first_whatever_the_trunk(name: str) -> None:
    size = dict(img_size=64) if 'swin' in name else {}
    trunk = TimmBackbone(name, out_indices=(1, 2, 3), pretrained=False, **size).eval()
    with torch.no_grad():
        maps = trunk(torch.rand(1, 3, 64, 64))
    assert tuple(x.shape[1] for x in maps) == trunk.out_channels
    assert [x.shape[2] for x in maps] == ([16, 8, 4] if 'resnet' in name else [8, 4, 2])


def test_without_timm_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match='pip install timm'):
        TimmBackbone('resnet10t', pretrained=False)


def test_weights_are_found_under_timms_names(tmp_path) -> None:
    source = TimmBackbone('resnet10t', pretrained=False)
    torch.save(source.trunk.state_dict(), tmp_path / 'resnet.pth')
    init = dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet.pth'))
    trunk = TimmBackbone('resnet10t', pretrained=False, init_cfg=init)
    trunk.init_weights()
    for name, value in source.state_dict().items():
        torch.testing.assert_close(trunk.state_dict()[name], value)
