import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from freeanchor.boxes import DeltaBoxCoder

coordinates = st.floats(-500, 500)
sides = st.floats(1, 400)


@st.composite
def boxes(draw: st.DrawFn) -> torch.Tensor:
    x, y, w, h = (draw(s) for s in (coordinates, coordinates, sides, sides))
    return torch.tensor([x, y, x + w, y + h], dtype=torch.float64)


@given(boxes(), boxes())
def test_decoding_undoes_encoding(anchor: torch.Tensor, box: torch.Tensor) -> None:
    coder = DeltaBoxCoder(stds=(0.1, 0.2, 0.3, 0.4), means=(0.1, 0, -0.1, 0.5))
    ratio = (box[2:] - box[:2]) / (anchor[2:] - anchor[:2])
    if ratio.log().abs().max() < 4:  # beyond 1000 / 16 the coder clamps
        decoded = coder.decode(anchor, coder.encode(anchor, box))
        assert_close(decoded, box, rtol=1e-6, atol=1e-6)


def test_no_delta_is_the_anchor() -> None:
    anchor = torch.tensor([[1.0, 2.0, 30.0, 40.0]])
    assert_close(DeltaBoxCoder().decode(anchor, torch.zeros(1, 4)), anchor)


@pytest.mark.parametrize('delta', [-1e4, 1e4])
def test_wild_deltas_give_finite_boxes(delta: float) -> None:
    anchor = torch.tensor([[0.0, 0.0, 32.0, 32.0]])
    deltas = torch.tensor([[0.0, 0.0, delta, delta]])
    box = DeltaBoxCoder().decode(anchor, deltas)
    assert_close((box[0, 2] - box[0, 0]).item(), 32 * (1000 / 16) ** (delta / 1e4))


def test_half_precision_deltas_decode_in_the_anchors_dtype() -> None:
    anchor = torch.tensor([[1000.0, 1000.0, 1333.0, 1400.0]])
    deltas = torch.zeros(1, 4, dtype=torch.bfloat16)
    assert_close(DeltaBoxCoder().decode(anchor, deltas), anchor)


def test_leading_dimensions_broadcast() -> None:
    anchors, boxes = torch.rand(5, 4), torch.rand(3, 1, 4)
    anchors[:, 2:] += 1
    boxes[..., 2:] += 1
    assert DeltaBoxCoder().encode(anchors, boxes).shape == (3, 5, 4)


@given(boxes(), st.floats(0.3, 4), st.floats(0.3, 4))
def test_boxes_come_back_from_a_resized_image(
    box: torch.Tensor, width: float, height: float
) -> None:
    scale = torch.tensor([width, height])
    resized = box * scale.repeat(2)
    assert_close(DeltaBoxCoder().to_original(resized[None], scale)[0], box)
