import copy

import torch
from torch.testing import assert_close

from freeanchor.boxes import LegacyAnchorGenerator

from . import legacy

STRIDES = [8, 16, 32, 64, 128]
RATIOS = [0.5, 1.0, 2.0]


def expected(stride: int) -> torch.Tensor:
    sizes = [4 * stride * 2 ** (i / 3) for i in range(3)]
    anchors = legacy.cell_anchors(stride, sizes, RATIOS)
    return torch.tensor([legacy.from_legacy(x) for x in anchors])


def test_every_level_has_maskrcnn_benchmarks_anchors() -> None:
    levels = LegacyAnchorGenerator(STRIDES)([(1, 1)] * 5)
    for anchors, stride in zip(levels, STRIDES):
        assert_close(anchors, expected(stride), rtol=1e-6, atol=1e-5)


def test_the_anchors_of_a_paper_of_2015_come_out() -> None:
    # py-faster-rcnn prints them, by first and last pixel: stride 16, scales 8 to 32.
    generator = LegacyAnchorGenerator([16], octave_base_scale=8, scales_per_octave=1)
    (anchors,) = generator([(1, 1)])
    # There -83 -39 100 56, -55 -55 72 72 and -35 -79 52 96, counted from 1.
    assert anchors.tolist() == [
        [-84, -40, 100, 56],
        [-56, -56, 72, 72],
        [-36, -80, 52, 96],
    ]


def test_cells_are_a_stride_apart_rows_before_columns() -> None:
    (anchors,) = LegacyAnchorGenerator([8])([(2, 3)])
    cells = anchors.view(2, 3, 9, 4)
    corner = torch.tensor([2 * 8, 1 * 8, 2 * 8, 1 * 8])
    assert_close(cells[1, 2], cells[0, 0] + corner)


def test_sides_are_rounded_before_they_are_scaled() -> None:
    (anchors,) = LegacyAnchorGenerator([8], ratios=[0.5], scales_per_octave=1)([(1, 1)])
    sides = anchors[0, 2:] - anchors[0, :2]
    # The square of 8 becomes 11.3 x 5.7, then 11 x 6 (5.5 to the even number).
    assert sides.tolist() == [4 * 11, 4 * 6]


def test_a_cast_of_the_model_leaves_anchors_in_float32() -> None:
    generator = LegacyAnchorGenerator([8, 128])
    exact = generator([(2, 2), (1, 1)])
    assert_close(copy.deepcopy(generator).half()([(2, 2), (1, 1)]), exact)
    assert not generator.state_dict()
