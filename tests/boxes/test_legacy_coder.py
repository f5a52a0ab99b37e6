import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from freeanchor.boxes import LegacyDeltaBoxCoder, pairwise_iou

from . import legacy

WEIGHTS = (10.0, 10.0, 5.0, 5.0)
coder = LegacyDeltaBoxCoder(stds=(0.1, 0.1, 0.2, 0.2))
coordinates = st.floats(0, 500)
sides = st.floats(1, 400)
deltas = st.tuples(*[st.floats(-10, 10)] * 4)
scales = st.tuples(st.floats(0.3, 4), st.floats(0.3, 4))


@st.composite
def boxes(draw: st.DrawFn) -> legacy.Box:
    """By edges, as they are everywhere but in ``legacy``."""
    x, y, w, h = (draw(s) for s in (coordinates, coordinates, sides, sides))
    return x, y, x + w, y + h


def tensor(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@given(boxes(), boxes())
def test_deltas_are_maskrcnn_benchmarks(anchor: legacy.Box, box: legacy.Box) -> None:
    theirs = legacy.encode(legacy.to_legacy(anchor), legacy.to_legacy(box), WEIGHTS)
    found = coder.encode(tensor(anchor), tensor(box))
    assert_close(found, tensor(theirs), rtol=1e-9, atol=1e-9)


@given(boxes(), deltas)
def test_decoded_boxes_are_maskrcnn_benchmarks(
    anchor: legacy.Box, delta: legacy.Box
) -> None:
    assert max(map(abs, delta)) / 5 < math.log(1000 / 16)  # not clamped
    theirs = legacy.decode(legacy.to_legacy(anchor), delta, WEIGHTS)
    found = coder.decode(tensor(anchor), tensor(delta))
    assert_close(found, tensor(legacy.from_legacy(theirs)), rtol=1e-9, atol=1e-8)


@given(boxes(), boxes())
def test_plain_overlap_is_theirs_with_a_pixel_added(
    box: legacy.Box, other: legacy.Box
) -> None:
    theirs = legacy.iou(legacy.to_legacy(box), legacy.to_legacy(other))
    found = pairwise_iou(tensor(box)[None], tensor(other)[None]).item()
    assert found == pytest.approx(theirs, abs=1e-9)


@given(boxes(), scales)
def test_boxes_come_back_from_a_resized_image_as_theirs_do(
    box: legacy.Box, scale: tuple[float, float]
) -> None:
    resized = legacy.from_legacy(legacy.resize(legacy.to_legacy(box), scale))
    found = coder.to_original(tensor(resized)[None], tensor(scale))
    assert_close(found[0], tensor(box), rtol=1e-9, atol=1e-9)


def test_every_box_may_have_a_scale_of_its_own() -> None:
    box = torch.tensor([[0.0, 0.0, 21.0, 41.0]])
    scale = torch.tensor([[2.0, 2.0], [4.0, 1.0]])
    found = coder.to_original(box.repeat(2, 1), scale)
    assert found.tolist() == [[0, 0, 11, 21], [0, 0, 6, 41]]
