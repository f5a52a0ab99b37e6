"""Anchors of torchvision's RetinaNet, against torchvision's own."""

import pytest
import torch
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import _default_anchorgen

from freeanchor.boxes import FittedAnchorGenerator

STRIDES = (8, 16, 32, 64, 128)


@pytest.mark.parametrize('size', [(800, 1088), (160, 224), (128, 256)])
def test_they_are_torchvisions(size):
    maps, cells = [], []
    for stride in STRIDES:
        cells.append(tuple(-(-n // stride) for n in size))
        maps.append(torch.zeros(1, 1, *cells[-1]))
    images = ImageList(torch.zeros(1, 3, *size), [size])
    (theirs,) = _default_anchorgen()(images, maps)
    ours = FittedAnchorGenerator(STRIDES)(cells)
    assert torch.equal(torch.cat(ours), theirs)


def test_another_number_of_levels_is_refused():
    with pytest.raises(ValueError, match='there are 1 feature maps'):
        FittedAnchorGenerator(STRIDES)([(4, 4)])
