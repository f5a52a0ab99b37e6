"""A model of three weights and its runs: milliseconds, but with all that varies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import Tensor, nn

from freeanchor.engine import DetectionRunner
from freeanchor.registry import DATASETS, METRICS, MODELS

ITERATIONS = 5  # of an epoch
EPOCHS = 4


class Points(torch.utils.data.Dataset):
    """Twelve points, the same each time."""

    metainfo: ClassVar = dict(classes=('cell',))

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        values = torch.randn(4, generator=torch.Generator().manual_seed(index))
        return values[:3], values[3]


@DATASETS.register_module()
class NoisyPoints(torch.utils.data.Dataset):
    """Twenty points; each time one is taken, other noise is added.

    Args:
        taken: A file that gets the index of each point when it is taken.
        noise: How much.
    """

    def __init__(self, taken: str | None = None, noise: float = 0.1) -> None:
        self.metainfo = dict(classes=('cell', 'nut'), cat_ids=[1, 7])
        self.taken = taken
        self.noise = noise

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if self.taken is not None:
            with open(self.taken, 'a') as file:
                file.write(f'{index}\n')
        values = torch.randn(4, generator=torch.Generator().manual_seed(index))
        noise = float(np.random.randn()) + torch.randn(3)
        return values[:3] + self.noise * noise, values[3]


@MODELS.register_module()
class NoisyLine(BaseModel):
    """A line behind batch normalisation and dropout."""

    def __init__(self, dropout: float = 0.3) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(3, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str) -> Any:
        found = self.linear(self.dropout(self.norm(x))).squeeze(1)
        if mode == 'loss':
            return dict(loss=(found - y).square().mean())
        return list(found)


@METRICS.register_module()
class Spread(BaseMetric):
    """The mean square of what is predicted."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [float(x) ** 2 for x in data_samples]

    def compute_metrics(self, results: list) -> dict[str, float]:
        return dict(spread=sum(results) / len(results))


class InterruptedRunError(Exception):
    pass


class Interruption(Hook):
    """Ends a run as a kill does: nothing is done about it.

    Args:
        moment: Name of the hook's method.
        iteration: Iterations begun before.
    """

    priority = 'VERY_HIGH'

    def __init__(self, moment: str, iteration: int) -> None:
        self.iteration = iteration
        setattr(self, moment, self._interrupt)

    def _interrupt(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        if runner.iter == self.iteration:
            raise InterruptedRunError


def runner_of(
    work_dir: Path,
    resume: bool = False,
    workers: int = 0,
    persistent: bool = False,
    taken: str | None = None,
    hooks: Sequence[Hook] = (),
    accept: bool = False,
    **config: Any,
) -> DetectionRunner:
    """A runner of 4 epochs of 5 iterations, each epoch validated.

    Args:
        work_dir: Its folder.
        resume: Go on from the newest state there.
        workers: Of the training data.
        persistent: Whether these live on between epochs.
        taken: See :class:`NoisyPoints`.
        hooks: Besides those of the config.
        accept: Resume also with another config.
        config: Keys that replace those below.
    """
    torch.manual_seed(0)
    loader = dict(
        dataset=dict(type='NoisyPoints'),
        batch_size=4,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
    )
    options = dict(
        model=dict(type='NoisyLine'),
        work_dir=str(work_dir),
        train_dataloader=dict(
            loader,
            dataset=dict(type='NoisyPoints', taken=taken),
            sampler=dict(type='DefaultSampler', shuffle=True),
            num_workers=workers,
            persistent_workers=persistent,
        ),
        val_dataloader=loader,
        val_evaluator=dict(type='Spread'),
        val_cfg=dict(),
        train_cfg=dict(by_epoch=True, max_epochs=EPOCHS),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.3, by_epoch=False, end=8),
            dict(type='MultiStepLR', milestones=[2, 3], by_epoch=True),
        ],
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', interval=1, save_best='spread')
        ),
        resume=resume,
        randomness=dict(seed=3),
        default_scope='freeanchor',
        experiment_name=f'{work_dir}-{resume}-{len(list(Path(work_dir).glob("*")))}',
    )
    runner = DetectionRunner.from_cfg({**options, **config})
    runner.accept_config_changes = accept
    for hook in hooks:
        runner.register_hook(hook)
    return runner
