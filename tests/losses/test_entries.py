import pytest
import torch

from freeanchor.losses.entries import Entries
from freeanchor.losses.reading import read_once
from tests.batches import flat, predictions

PLACES = (
    torch.tensor([0, 1, 1, 1]),
    torch.tensor([0, 179, 144, 144]),
    torch.tensor([2, 0, 1, 1]),
)


def test_entries_are_found_on_their_level() -> None:
    batch = predictions()
    assert flat(batch.logits).shape[1] == 180
    assert len(batch.anchors[0]) == 144
    image, anchor, label = PLACES
    assert torch.equal(
        Entries(*PLACES).read(batch.logits), flat(batch.logits)[image, anchor, label]
    )
    assert torch.equal(
        Entries(image, anchor).read(batch.deltas), flat(batch.deltas)[image, anchor]
    )


def test_indices_broadcast() -> None:
    batch = predictions()
    image, label = torch.tensor([[0], [1]]), torch.tensor([[2], [0]])
    bag = torch.tensor([[3, 5, 150], [7, 8, 9]])
    expected = flat(batch.logits)[image, bag, label]
    assert torch.equal(Entries(image, bag, label).read(batch.logits), expected)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float64])
def test_entries_are_read_in_float32_or_wider(dtype: torch.dtype) -> None:
    found = Entries(*PLACES).read(predictions(dtype=dtype).logits)
    assert found.dtype == torch.promote_types(dtype, torch.float32)


def test_only_what_was_read_gets_a_gradient_and_twice_if_read_twice() -> None:
    batch = predictions()
    (found,) = read_once(batch.logits, None, Entries(*PLACES))
    grads = flat(torch.autograd.grad(found.sum(), batch.logits))
    assert grads[0, 0, 2] == 1
    assert grads[1, 144, 1] == 2
    assert grads.abs().sum() == 4


@pytest.mark.parametrize('columns', [2, 3])
def test_gradients_are_those_of_plain_indexing(columns: int) -> None:
    batch = predictions(dtype=torch.float64)
    levels = batch.logits if columns == 3 else batch.deltas
    entries = Entries(*PLACES[:columns])
    (ours,), plain = read_once(levels, None, entries), entries.read(levels)
    weight = torch.rand_like(plain)
    for mine, theirs in zip(
        torch.autograd.grad((ours * weight).sum(), levels),
        torch.autograd.grad((plain * weight).sum(), levels),
    ):
        torch.testing.assert_close(mine, theirs)


def test_no_entries_still_connect_the_graph() -> None:
    batch, none = predictions(), torch.zeros(0, dtype=torch.long)
    (found,) = read_once(batch.logits, None, Entries(none, none, none))
    for grad in torch.autograd.grad(found.sum(), batch.logits):
        assert not grad.any()
