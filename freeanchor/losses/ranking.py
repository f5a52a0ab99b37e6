"""The best few of each group, for all groups at once."""

import torch
from torch import Tensor


def best_of_groups(costs: Tensor, group: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """The ``number`` least of each group; of equal ones the first.

    Args:
        costs: ``(M,)``.
        group: ``(M,)`` int64.
        number: How many of each group; of smaller groups, all.

    Returns:
        Indices ``(N,)`` into ``costs``, and the rank ``(N,)`` of each in its
        group, from 0.
    """
    order = costs.argsort(stable=True)
    group, by_group = group[order].sort(stable=True)
    rank = torch.ones_like(group).cumsum(0) - 1 - torch.searchsorted(group, group)
    (best,) = (rank < number).nonzero(as_tuple=True)
    return order[by_group[best]], rank[best]
