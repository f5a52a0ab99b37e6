"""How many worker processes decode images, where a config leaves it open."""

import os
from typing import Any

_MOST = 4  # one prepares about 200 images of COCO's size a second


def with_workers(dataloader: Any) -> Any:
    """A loader's config with a number for ``num_workers='auto'`` (or none).

    That is the cores of this process, shared among the processes of this
    machine, at most 4 and at least 1, and they persist between epochs unless
    the config says otherwise. Where there are none, nothing persists.
    """
    if not isinstance(dataloader, dict):
        return dataloader
    workers = dataloader.get('num_workers', 'auto')
    is_open = workers == 'auto'
    if is_open:
        workers = auto_workers(int(os.environ.get('LOCAL_WORLD_SIZE', '1')))
    persist = dataloader.get('persistent_workers', is_open) and workers > 0
    return {**dataloader, 'num_workers': workers, 'persistent_workers': persist}


def auto_workers(processes: int) -> int:
    """Workers for each of the training processes on this machine."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        cores = os.cpu_count() or 1
    return min(_MOST, max(1, cores // processes))
