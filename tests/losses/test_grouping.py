import torch
from hypothesis import given
from hypothesis import strategies as st

from freeanchor.losses.grouping import group_equal


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
