"""Rows that belong together, without waiting for a GPU."""

from typing import NamedTuple

import torch
from torch import Tensor


class Groups(NamedTuple):
    """Rows with equal keys, numbered by their keys' order."""

    number: Tensor  # (N,) int64, which group a row is in
    is_first: Tensor  # (N,) bool, whether it is the first row of its group


def group_equal(keys: Tensor) -> Groups:
    """What ``unique`` tells, in shapes that do not depend on values.

    Args:
        keys: ``(N,)`` int64.
    """
    sorted_keys, order = keys.sort(stable=True)
    starts = torch.ones_like(keys, dtype=torch.bool)
    starts[1:] = sorted_keys[1:] != sorted_keys[:-1]
    number, is_first = torch.empty_like(keys), torch.empty_like(starts)
    number[order] = starts.cumsum(0) - 1
    is_first[order] = starts
    return Groups(number, is_first)


def logsumexp_of_groups(values: Tensor, group: Tensor, num_groups: int) -> Tensor:
    """``log(sum(exp(values)))`` of each group; 0 for one without rows.

    Args:
        values: ``(N,)``, finite.
        group: ``(N,)`` int64, the group of each.
        num_groups: How many there are.

    Returns:
        ``(num_groups,)``
    """
    top = torch.zeros(num_groups, dtype=values.dtype, device=values.device)
    highest = values.detach()
    top = top.scatter_reduce(0, group, highest, 'amax', include_self=False)
    total = torch.zeros_like(top).index_add(0, group, (values - top[group]).exp())
    # Above 0 where there are rows: the highest adds 1.
    return total.where(total > 0, 1).log() + top
