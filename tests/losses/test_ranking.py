import torch
from hypothesis import given
from hypothesis import strategies as st

from freeanchor.losses.ranking import best_of_groups


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3))), st.integers(1, 4))
def test_the_best_of_each_group_are_those_of_a_loop(
    rows: list[tuple[int, int]], number: int
) -> None:
    costs, group = torch.tensor(rows, dtype=torch.long).reshape(-1, 2).unbind(1)
    best, rank = best_of_groups(costs.float(), group, number)
    found = sorted(zip(group[best].tolist(), rank.tolist(), best.tolist()))
    expected = []
    for own in range(4):
        members = [i for i, (_, g) in enumerate(rows) if g == own]
        members.sort(key=lambda i: rows[i][0])
        expected += [(own, k, i) for k, i in enumerate(members[:number])]
    assert found == expected
