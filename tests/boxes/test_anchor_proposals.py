"""Proposals fit the objects they were made for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from freeanchor.boxes.anchor_proposals import (
    AnchorSettings,
    log_centres,
    propose_anchors,
)

STRIDES = (8, 16, 32, 64, 128)
RETINANET = AnchorSettings(4.0, 3, (0.5, 1.0, 2.0))


def objects(size, aspect, number=200, spread=0.1):
    """``(number, 2)`` sides around a size and a height over width."""
    noise = torch.randn(2, number, generator=torch.Generator().manual_seed(0))
    size, aspect = size * (spread * noise[0]).exp(), aspect * (spread * noise[1]).exp()
    return torch.stack([size / aspect.sqrt(), size * aspect.sqrt()], dim=1)


def test_centres_of_two_groups_are_their_geometric_means():
    values = torch.tensor([0.1, 0.1, 0.4, 4.0, 9.0, 9.0])
    low, high = log_centres(values, 2)
    assert low == pytest.approx((0.1 * 0.1 * 0.4) ** (1 / 3), rel=0.05)
    assert high == pytest.approx((4.0 * 9.0 * 9.0) ** (1 / 3), rel=0.05)


def test_equal_values_have_one_centre():
    assert log_centres(torch.full((9,), 2.0), 3) == (2.0,)


def test_slender_objects_get_slender_anchors():
    sides = objects(60, 0.1)
    found = propose_anchors(sides, STRIDES, RETINANET)['as many']
    assert min(abs(x - 0.1) for x in found.ratios) < 0.03
    assert found.expected(sides, STRIDES) > RETINANET.expected(sides, STRIDES)
    assert found.per_cell <= 9


def test_tiny_objects_get_small_anchors():
    sides = objects(10, 1.0)
    found = propose_anchors(sides, STRIDES, RETINANET)['as many']
    assert found.octave_base_scale < 2.5


def test_a_missed_minority_counts_more_than_a_closer_fit_of_the_rest():
    sides = torch.cat([objects(45, 1.0, 180), objects(12, 1.0, 20)])
    found = propose_anchors(sides, STRIDES, RETINANET)['as many']
    reached = found.expected(sides[180:], STRIDES)[0]
    assert reached > RETINANET.expected(sides[180:], STRIDES)[0] + 0.1


@given(st.floats(8, 300), st.floats(0.1, 8), st.floats(0.01, 0.8))
@settings(max_examples=15, deadline=None)
def test_proposals_keep_their_promises(size, aspect, spread):
    sides = objects(size, aspect, 60, spread)
    now = RETINANET.expected(sides, STRIDES)
    found = propose_anchors(sides, STRIDES, RETINANET)
    limits = dict(fewer=8, more=18)
    limits['as many'] = 9
    for name, proposal in found.items():
        assert proposal.expected(sides, STRIDES) >= now, name
        assert proposal.per_cell <= limits[name]
