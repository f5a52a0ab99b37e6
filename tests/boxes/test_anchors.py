import copy

import pytest
import torch
from torch.testing import assert_close

from freeanchor.boxes import AnchorGenerator, centred_inside


def test_ratios_are_heights_over_widths_and_keep_the_area() -> None:
    anchors = AnchorGenerator(
        [8], ratios=[0.5, 2.0], scales_per_octave=1
    ).of_cell.anchors
    width, height = (anchors[0, :, 2:] - anchors[0, :, :2]).unbind(1)
    assert_close(height / width, torch.tensor([0.5, 2.0]))
    assert_close(width * height, torch.full((2,), 32.0**2))


def test_scales_double_after_an_octave() -> None:
    anchors = AnchorGenerator([8], ratios=[1.0], scales_per_octave=3).of_cell.anchors
    sides = anchors[0, :, 2] - anchors[0, :, 0]
    assert_close(sides, torch.tensor([32.0, 32 * 2 ** (1 / 3), 32 * 2 ** (2 / 3)]))


def test_anchors_of_a_cell_stand_together_rows_before_columns() -> None:
    generator = AnchorGenerator([10], ratios=[1.0], scales=[2, 3])
    (anchors,) = generator([(2, 3)])
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert centres[:6].tolist() == [[0, 0], [0, 0], [10, 0], [10, 0], [20, 0], [20, 0]]
    assert centres[6].tolist() == [0, 10]


def test_another_number_of_maps_is_refused() -> None:
    with pytest.raises(ValueError, match=r'2 strides.*3 feature maps.*neck.num_outs'):
        AnchorGenerator([8, 16])([(4, 4), (2, 2), (1, 1)])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_a_cast_of_the_model_leaves_anchors_in_float32(dtype: torch.dtype) -> None:
    generator = AnchorGenerator([8, 128])
    exact = generator([(2, 2), (1, 1)])
    assert_close(copy.deepcopy(generator).to(dtype)([(2, 2), (1, 1)]), exact)


def test_anchors_are_not_in_the_state_dict() -> None:
    assert not AnchorGenerator([8]).state_dict()


def test_cells_of_the_padding_are_not_inside() -> None:
    (anchors,) = AnchorGenerator([16], ratios=[1.0], scales=[4])([(4, 4)])
    inside = centred_inside(anchors, height=33, width=16).view(4, 4)
    assert inside.nonzero().tolist() == [[0, 0], [1, 0], [2, 0]]
