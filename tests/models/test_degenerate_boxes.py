"""No box, however wrong, makes gradients that are not finite (T5)."""

from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from tests.batches import sample
from tests.models.detectors import small_detector

NAN, INF = float('nan'), float('inf')
LOSSES = ['FreeAnchorLoss', 'RetinaLoss']
BOXES: dict[str, list[float]] = {
    'no width': [10, 10, 10, 40],
    'no height': [10, 10, 40, 10],
    'no width after clipping': [64, 10, 64, 40],
    'almost no width': [10, 10, 10.0001, 40],
    'negative width': [40, 10, 10, 40],
    'negative place': [-50, -50, -10, -10],
    'infinite': [0, 0, INF, 40],
    'infinite both ways': [-INF, 0, INF, 40],
    'no number': [10, NAN, 40, 40],
    'huge': [0, 0, 1e30, 1e30],
    'huge both ways': [-1e30, -1e30, 1e30, 1e30],
}
NUMBERS = st.one_of(
    st.floats(-100, 100, width=32),
    st.floats(-1e30, 1e30, allow_subnormal=False),
    st.sampled_from([0.0, 64.0, 1e30, -1e30, 1e-30, INF, -INF, NAN]),
)


@cache
def detector(loss: str) -> nn.Module:
    torch.manual_seed(0)
    return small_detector(loss=dict(type=loss)).train()


def train_on(loss: str, box: list[float]) -> str:
    """The error of a refusal, or an empty text; gradients are left in the model."""
    model: Any = detector(loss)
    samples = [
        sample([box, [4, 4, 30, 30]], [0, 1], img_path='photos/7.jpg', img_id=7),
        sample([[8, 8, 50, 50]], [2], img_path='photos/8.jpg', img_id=8),
    ]
    inputs = torch.linspace(-1, 1, 2 * 3 * 64 * 64).view(2, 3, 64, 64)
    model.zero_grad()
    try:
        total = sum(model(inputs, samples, mode='loss').values())
    except ValueError as error:
        return str(error)
    total.backward()
    assert total.isfinite()
    return ''


def check(loss: str, box: list[float]) -> None:
    refusal = train_on(loss, box)
    if refusal:
        assert 'photos/7.jpg' in refusal
        assert 'object 0' in refusal
        return
    gradients = [x.grad for x in detector(loss).parameters() if x.grad is not None]
    assert gradients
    assert all(x.isfinite().all() for x in gradients)


@pytest.mark.parametrize('loss', LOSSES)
@pytest.mark.parametrize('box', BOXES.values(), ids=BOXES.keys())
def test_a_wrong_box_is_refused_by_name_or_harmless(box: list, loss: str) -> None:
    """T5."""
    check(loss, box)


@pytest.mark.parametrize('loss', LOSSES)
@given(box=st.lists(NUMBERS, min_size=4, max_size=4))
@example(box=[0.0, 0.0, 1e30, 1e-30])
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_four_numbers_are_refused_or_harmless(box: list, loss: str) -> None:
    """T5."""
    check(loss, box)


@pytest.mark.parametrize('loss', LOSSES)
def test_a_sound_box_is_learned(loss: str) -> None:
    """So that refusing everything would be noticed."""
    assert train_on(loss, [10, 10, 40, 40]) == ''
    assert train_on(loss, [-5, 10, 40, 90]) == ''
