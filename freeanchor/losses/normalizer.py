"""Counts that are shared between processes."""

import torch
import torch.distributed as dist
from torch import Tensor


def mean_over_processes(count: int | Tensor, device: torch.device) -> Tensor:
    """Average of a count over all processes, at least one in all of them.

    DistributedDataParallel averages gradients. A loss that every process
    divides by this therefore has the gradient of one process with the whole
    batch.

    Args:
        count: Of this process: a number, or a scalar tensor on ``device``.
        device: Where the loss is.
    """
    # Added on the device: a copy from the host would wait for it.
    total = torch.zeros((), device=device) + count
    processes = 1
    if is_distributed():
        dist.all_reduce(total)
        processes = dist.get_world_size()
    return total.clamp(min=1) / processes


def is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized()
