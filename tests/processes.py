"""Run a function on several processes that form a gloo group."""

import os
import socket
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def _worker(
    rank: int, function: Callable, processes: int, port: int, results: Any
) -> None:
    os.environ.update(
        MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port), LOCAL_RANK=str(rank)
    )
    torch.set_num_threads(1)
    dist.init_process_group('gloo', rank=rank, world_size=processes)
    try:
        results[rank] = function(rank, processes)
    finally:
        dist.destroy_process_group()


def run_on_processes(function: Callable[[int, int], Any], processes: int) -> list:
    """``function(rank, processes)`` of each process, by rank."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    context = mp.get_context('spawn')
    with context.Manager() as manager:
        results = manager.dict()
        mp.spawn(
            _worker, (function, processes, port, results), nprocs=processes, join=True
        )
        return [results[rank] for rank in range(processes)]
