import torch
from hypothesis import given
from hypothesis import strategies as st

from freeanchor.losses.grouping import group_equal, logsumexp_of_groups


@given(st.lists(st.integers(0, 9)))
def test_groups_are_those_of_unique(keys: list[int]) -> None:
    rows = torch.tensor(keys, dtype=torch.long)
    groups = group_equal(rows)
    kinds, number = rows.unique(return_inverse=True)
    assert groups.number.tolist() == number.tolist()
    assert groups.is_first.sum() == len(kinds)


@given(st.lists(st.integers(0, 9)))
def test_the_first_of_a_group_stands_before_the_others(keys: list[int]) -> None:
    is_first = group_equal(torch.tensor(keys, dtype=torch.long)).is_first.tolist()
    assert is_first == [key not in keys[:i] for i, key in enumerate(keys)]


def test_logsumexp_is_that_of_the_rows_of_each_group() -> None:
    values = torch.tensor([500.0, 1.0, 2.0, 499.0, -700.0], dtype=torch.float64)
    values.requires_grad_()
    group = torch.tensor([0, 2, 2, 0, 3])
    found = logsumexp_of_groups(values, group, 5)
    rows = [values[group == i] for i in range(5)]
    for own, row in zip(found, rows):
        truth = torch.logsumexp(row, 0) if len(row) else torch.zeros_like(own)
        torch.testing.assert_close(own, truth)
    (grad,) = torch.autograd.grad(found.sum(), values)
    for i, row in enumerate(rows):
        torch.testing.assert_close(grad[group == i], row.softmax(0))
