"""A trunk trained on normalised RGB pictures, for plain BGR ones."""

import torch
from mmengine.registry import DefaultScope

from freeanchor.models import ResNet
from freeanchor.registry import SCOPE

MEAN = torch.tensor([123.675, 116.28, 103.53])[:, None, None]  # of RGB
STD = torch.tensor([58.395, 57.12, 57.375])[:, None, None]


def test_it_answers_to_bgr_as_the_original_to_rgb(tmp_path):
    theirs = ResNet(18).double().eval()
    torch.save(theirs.state_dict(), tmp_path / 'rgb.pth')
    ours = ResNet(
        18,
        init_cfg=dict(
            type='PretrainedOnRGB',
            checkpoint=str(tmp_path / 'rgb.pth'),
            std=STD.flatten().tolist(),
        ),
    )
    ours = ours.double()
    with DefaultScope.overwrite_default_scope(SCOPE):
        ours.init_weights()
    ours.eval()
    rgb = torch.rand(1, 3, 64, 64, dtype=torch.float64) * 255
    bgr = (rgb - MEAN).flip(1)
    torch.testing.assert_close(ours(bgr), theirs((rgb - MEAN) / STD))
