"""How many images make one step of the optimiser, and what rate suits that."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StepBatch:
    """Images of one optimiser step.

    Attributes:
        processes: Processes that train together.
        images: Images per process and iteration.
        accumulation: Iterations before the optimiser steps.
        base: Images per step that the config's learning rate is meant for;
            None where the config does not say.
    """

    processes: int
    images: int
    accumulation: int = 1
    base: int | None = None

    @classmethod
    def of(cls, cfg: Any, processes: int) -> 'StepBatch':
        """The batch that a config gives on so many processes."""
        return cls(
            processes=processes,
            images=cfg['train_dataloader'].get('batch_size', 1),
            accumulation=cfg['optim_wrapper'].get('accumulative_counts', 1),
            base=(cfg.get('auto_scale_lr') or {}).get('base_batch_size'),
        )

    @property
    def total(self) -> int:
        return self.processes * self.images * self.accumulation

    @property
    def factor(self) -> float:
        """What linear scaling multiplies the learning rate by."""
        return self.total / self.base if self.base else 1.0

    def __str__(self) -> str:
        parts = [_count(self.processes, 'process', 'processes')]
        parts.append(_count(self.images, 'image', 'images'))
        if self.accumulation > 1:
            parts.append(f'{self.accumulation} accumulated')
        return ' x '.join(parts) + f' = {self.total} a step'


def _count(number: int, one: str, more: str) -> str:
    return f'{number} {one if number == 1 else more}'
