"""The fast form against the plain one."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from freeanchor.boxes import DeltaBoxCoder
from freeanchor.losses import background
from freeanchor.losses.background import background_and_logits, sum_background
from freeanchor.losses.entries import Entries
from freeanchor.losses.kernels import chunked
from freeanchor.structures import DensePredictions

SIZES = ((5, 7), (3, 4), (1, 1))
FORMATS = [torch.contiguous_format, torch.channels_last]
PLACES = (torch.tensor([0, 1, 1]), torch.tensor([3, 140, 140]), torch.tensor([1, 4, 4]))


def maps(
    memory_format: torch.memory_format = torch.contiguous_format,
    dtype: torch.dtype = torch.float64,
    spread: float = 3.0,
) -> list[Tensor]:
    """Leaves as a head writes them: 3 anchors a position, 5 classes."""
    torch.manual_seed(0)
    return [
        (spread * torch.randn(2, 15, *size, dtype=torch.float64))
        .to(dtype)
        .contiguous(memory_format=memory_format)
        .requires_grad_()
        for size in SIZES
    ]


def of_maps(logits: list[Tensor]) -> DensePredictions:
    anchors = [torch.zeros(3 * h * w, 4) for h, w in SIZES]
    deltas = [torch.zeros(2, 12, *size) for size in SIZES]
    return DensePredictions.from_maps(logits, deltas, anchors, DeltaBoxCoder())


def counted() -> Tensor:
    return torch.rand(2, 3 * sum(h * w for h, w in SIZES)) < 0.7


def both_forms(
    leaves: list[Tensor], gamma: float, mask: Tensor | None
) -> tuple[tuple[Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]]:
    """Value and gradients, fast and plain, of all that is read."""
    batch, entries = of_maps(leaves), Entries(*PLACES)
    total, read = background_and_logits(batch, gamma, mask, entries)
    fast = 0.3 * total + (read**2).sum()
    plain = 0.3 * sum_background(batch, gamma, mask)
    plain = plain + (entries.read(batch.logits) ** 2).sum()
    return tuple((x, list(torch.autograd.grad(x, leaves))) for x in (fast, plain))


@pytest.mark.parametrize('memory_format', FORMATS)
@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('gamma', [0.0, 1.0, 1.5, 2.0])
@pytest.mark.parametrize('piece', [1, 16, 65536])
def test_both_forms_agree(
    memory_format: torch.memory_format,
    masked: bool,
    gamma: float,
    piece: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chunked, '_PIECE', piece)
    fast, plain = both_forms(maps(memory_format), gamma, counted() if masked else None)
    assert_close(fast, plain, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize('spread', [0.0, 30.0, 1000.0])
def test_both_forms_agree_far_from_zero(spread: float) -> None:
    fast, plain = both_forms(maps(spread=spread), 2.0, None)
    assert_close(fast, plain, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16])
def test_narrow_logits_are_read_in_float32(dtype: torch.dtype) -> None:
    leaves = maps(dtype=dtype)
    (value, grads), _ = both_forms(leaves, 2.0, None)
    wide = [x.detach().double().requires_grad_() for x in leaves]
    _, (expected, wide_grads) = both_forms(wide, 2.0, None)
    assert value.dtype == torch.float32
    assert_close(value.double(), expected, rtol=1e-6, atol=0)
    for grad, exact, leaf in zip(grads, wide_grads, leaves):
        assert grad.dtype == leaf.dtype
        assert_close(grad, exact.to(dtype))


@pytest.mark.parametrize('memory_format', FORMATS)
def test_gradients_have_the_layout_of_the_maps(
    memory_format: torch.memory_format,
) -> None:
    leaves = maps(memory_format)
    (_, grads), _ = both_forms(leaves, 2.0, None)
    for grad, leaf in zip(grads, leaves):
        assert grad.is_contiguous(memory_format=memory_format)
        assert grad.dtype == leaf.dtype


def test_the_maps_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    for memory_format in FORMATS:
        leaves = maps(memory_format)
        for logits, leaf in zip(of_maps(leaves).logits, leaves):
            assert logits.data_ptr() == leaf.data_ptr()
    monkeypatch.setattr(background, 'sum_background', None)  # must not be needed
    background_and_logits(of_maps(maps()), 2.0, None)


def test_a_second_backward_gives_the_same_gradient() -> None:
    leaves = maps()
    (total,) = background_and_logits(of_maps(leaves), 2.0, None)
    first = torch.autograd.grad(3 * total, leaves, retain_graph=True)
    first = [x.clone() for x in first]
    assert_close(list(torch.autograd.grad(3 * total, leaves)), first)


def test_parts_of_maps_are_read_too() -> None:
    leaves = [torch.randn(4, 15, *size, requires_grad=True) for size in SIZES]
    fast, plain = both_forms_of_every_second(leaves)
    assert_close(fast, plain)


def both_forms_of_every_second(leaves: list[Tensor]) -> tuple[list, list]:
    batch = of_maps([x[::2] for x in leaves])
    fast = background_and_logits(batch, 2.0, None)[0]
    plain = sum_background(batch, 2.0)
    return tuple(list(torch.autograd.grad(x, leaves)) for x in (fast, plain))


def test_small_derivatives_of_float16_survive_until_they_are_scaled() -> None:
    leaves = [torch.full((2, 15, *size), -7.0).half() for size in SIZES]
    leaves = [x.requires_grad_() for x in leaves]
    (total,) = background_and_logits(of_maps(leaves), 2.0, None)
    for grad in torch.autograd.grad(2.0**16 * total, leaves):
        assert_close(grad, torch.full_like(grad, 2**16 * 2.3e-9), rtol=0.2, atol=0)


def test_nan_logits_give_a_nan_cost() -> None:
    leaves = maps()
    with torch.no_grad():
        leaves[1][0, 0, 0, 0] = torch.nan
    assert background_and_logits(of_maps(leaves), 2.0, None)[0].isnan()
