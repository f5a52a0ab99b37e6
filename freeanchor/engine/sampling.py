"""Which sample comes when, and its randomness, as a function of the seed alone.

The order of an epoch depends on (seed, epoch), what augmentation does to a
sample on (seed, epoch, index of the sample). Neither depends on the number of
workers, on whether they persist, or on where a run was interrupted.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    Sampler,
    get_worker_info,
)


class Draw(int):
    """The index of a sample, and the epoch and seed that it is drawn in."""

    seed: int
    epoch: int

    def __new__(cls, index: int, seed: int, epoch: int) -> 'Draw':
        draw = super().__new__(cls, index)
        draw.seed, draw.epoch = seed, epoch
        return draw

    def __getnewargs__(self) -> tuple[int, int, int]:  # type: ignore[override]
        return int(self), self.seed, self.epoch


class ResumableBatches(Sampler[list[int]]):
    """The batches of another sampler, from any one of an epoch on.

    Those before it are counted, their samples are not loaded.

    Args:
        batches: A batch sampler whose ``sampler`` gives an order by epoch.
    """

    def __init__(self, batches: BatchSampler) -> None:
        self._batches = batches
        self._seed, self._epoch, self._first = 0, 0, 0

    @property
    def sampler(self) -> Any:
        return self._batches.sampler

    @property
    def batch_size(self) -> int:
        return self._batches.batch_size

    @property
    def drop_last(self) -> bool:
        return self._batches.drop_last

    def start_at(self, seed: int, epoch: int, first: int = 0) -> None:
        """Let the next iteration begin with batch ``first`` of an epoch."""
        self._seed, self._epoch, self._first = seed, epoch, first
        if hasattr(self.sampler, 'seed'):
            self.sampler.seed = seed
        if hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[int]]:
        first, self._first = self._first, 0
        for number, batch in enumerate(self._batches):
            if number >= first:
                epoch = self._epoch + self._passes(number)
                yield [Draw(index, self._seed, epoch) for index in batch]

    def _passes(self, number: int) -> int:
        """How often a sampler without end has been through the data set."""
        if not isinstance(self.sampler, InfiniteSampler):
            return 0
        drawn = number * self.batch_size * self.sampler.world_size
        return drawn // self.sampler.size


class SeededDataset(Dataset):
    """A data set whose randomness depends on the draw; else it is the other's.

    Args:
        dataset: Its attributes can be read and set through this one.
    """

    def __init__(self, dataset: Any) -> None:
        super().__setattr__('dataset', dataset)

    def __getattr__(self, name: str) -> Any:
        if name == 'dataset':  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.dataset, name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {'dataset': self.dataset}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setattr__('dataset', state['dataset'])

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        if not isinstance(index, Draw):
            return self.dataset[index]
        with seeded(index.seed, index.epoch, int(index)):
            return self.dataset[int(index)]


@contextmanager
def seeded(seed: int, epoch: int, index: int) -> Iterator[None]:
    """Seed Python, NumPy and PyTorch for one sample; then all is as before.

    In a worker, where nothing but samples draws, nothing is put back.
    """
    before = _generators() if get_worker_info() is None else None
    words = np.random.SeedSequence([seed, epoch, index]).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    # Not torch.manual_seed: it prepares CUDA's generators each time.
    torch.default_generator.manual_seed(int(words[2]))
    try:
        yield
    finally:
        if before is not None:
            random.setstate(before[0])
            np.random.set_state(before[1])
            torch.set_rng_state(before[2])


def _generators() -> tuple[Any, Any, torch.Tensor]:
    # As a dict, NumPy's is made in a tenth of the time.
    of_numpy = np.random.get_state(legacy=False)
    return random.getstate(), of_numpy, torch.get_rng_state()


class ResumableLoader:
    """A data loader that can begin with any batch of any epoch.

    Everything else is the loader's: length, data set, attributes. Nothing is
    loaded before the first batch is asked for.

    Args:
        loader: Is taken apart and not to be used any more.
    """

    def __init__(self, loader: DataLoader) -> None:
        options = {key: getattr(loader, key) for key in _KEPT}
        made = DataLoader(
            SeededDataset(loader.dataset),
            batch_sampler=ResumableBatches(cast(BatchSampler, loader.batch_sampler)),
            # The workers' base seed is drawn from it, and not from the
            # generator that dropout draws from.
            generator=torch.Generator().manual_seed(0),
            **options,
        )
        super().__setattr__('_loader', made)

    def start_at(self, seed: int, epoch: int, first: int = 0) -> None:
        """Let the next iteration begin with batch ``first`` of an epoch."""
        self._loader.batch_sampler.start_at(seed, epoch, first)

    def __getattr__(self, name: str) -> Any:
        if name == '_loader':
            raise AttributeError(name)
        return getattr(self._loader, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._loader, name, value)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        yield from self._loader


_KEPT = (
    'num_workers',
    'collate_fn',
    'pin_memory',
    'timeout',
    'worker_init_fn',
    'multiprocessing_context',
    'prefetch_factor',
    'persistent_workers',
)
