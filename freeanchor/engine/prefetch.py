"""Batches that are on their way to the GPU while it works on the one before."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

_OWN = ('_loader', '_device')


class DevicePrefetcher:
    """A data loader whose next batch of images is moved ahead of time.

    Images go to the device on a stream of their own, as they are (uint8). With
    ``pin_memory=True`` in the loader the copy runs beside the computation.
    Everything else is the loader's: length, data set, sampler, samples.

    Args:
        loader: Gives dicts with ``inputs``, a tensor or a list of tensors.
        device: A CUDA device, or another, on which nothing can overlap and
            batches are passed on as they are.
    """

    def __init__(self, loader: Any, device: torch.device | str) -> None:
        self._loader = loader
        self._device = torch.device(device)

    def __getattr__(self, name: str) -> Any:
        if name in _OWN:
            raise AttributeError(name)
        return getattr(self._loader, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # Hooks that start the workers anew write to the loader.
        if name in _OWN:
            super().__setattr__(name, value)
        else:
            setattr(self._loader, name, value)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        if self._device.type != 'cuda':
            yield from self._loader
            return
        side = torch.cuda.Stream(self._device)
        ahead = None
        for batch in self._loader:
            with torch.cuda.stream(side):
                moved = move_inputs(batch, self._device)
            if ahead is not None:
                yield self._arrived(ahead, side)
            ahead = moved
        if ahead is not None:
            yield self._arrived(ahead, side)

    def _arrived(self, batch: Any, side: torch.cuda.Stream) -> Any:
        current = torch.cuda.current_stream(self._device)
        current.wait_stream(side)
        for image in _images(batch):
            image.record_stream(current)  # not to be reused before it is read
        return batch


def move_inputs(batch: Any, device: torch.device) -> Any:
    """``batch`` with its images on ``device``; the copy is not waited for."""
    if not isinstance(batch, dict) or 'inputs' not in batch:
        return batch
    moved: Any = [x.to(device, non_blocking=True) for x in _images(batch)]
    return {**batch, 'inputs': moved[0] if _is_stacked(batch) else moved}


def _is_stacked(batch: dict) -> bool:
    return isinstance(batch['inputs'], Tensor)


def _images(batch: Any) -> list[Tensor]:
    if not isinstance(batch, dict) or 'inputs' not in batch:
        return []
    return [batch['inputs']] if _is_stacked(batch) else list(batch['inputs'])
