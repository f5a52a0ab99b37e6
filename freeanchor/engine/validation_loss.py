"""The loss of the validation set, logged where it is asked for."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from torch import Tensor

from freeanchor.registry import HOOKS

from .naming import ConfigError
from .random_state import random_state, set_random_state


@HOOKS.register_module()
class ValidationLossHook(Hook):
    """Compute the training objective on the validation set, at each validation.

    The log gets ``val_loss`` and each of its terms, as ``val_positive_bag_loss``:
    means over batches, weighted by their images. They are among the metrics, so
    that ``save_best='val_loss', rule='less'`` works. It costs a second run of the
    network. Training is what it would be without the hook: the model is in
    evaluation mode without gradients, and the loop keeps the random state.

    It goes into a config as ``custom_hooks = [dict(type='ValidationLossHook')]``.

    Raises:
        ConfigError: The validation pipeline gives no objects, which is looked at
            before training; or processes have different numbers of batches, where
            losses that count over all processes would wait for ever.
    """

    # Before the hooks that log the metrics or choose checkpoints by them.
    priority = 'ABOVE_NORMAL'

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._images = 0

    def before_train(self, runner: Any) -> None:
        if runner.val_loop is not None:
            state = random_state()  # should the pipeline draw numbers
            sample = runner.val_dataloader.dataset[0]
            set_random_state(state)
            _check_objects([sample['data_samples']])

    def before_val_epoch(self, runner: Any) -> None:
        self._sums, self._images = {}, 0
        lengths = dist.all_gather_object(len(runner.val_dataloader))
        if len(set(lengths)) > 1:
            raise ConfigError(
                f'ValidationLossHook: processes have {lengths} batches of the '
                'validation set; give val_dataloader.sampler round_up=True.'
            )

    def after_val_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        samples = data_batch['data_samples']
        _check_objects(samples)
        try:
            terms = losses_of(runner.model, data_batch)
        except ValueError as error:  # an annotation that training would refuse
            if dist.get_world_size() > 1:
                raise
            print_log(
                f'Left out of the validation loss: {error}',
                logger='current',
                level=logging.WARNING,
            )
            return
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value) * len(samples)
        self._images += len(samples)

    def after_val_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        names = sorted(self._sums)
        totals = torch.tensor(
            [*(self._sums[x] for x in names), self._images], dtype=torch.float64
        )
        if dist.is_distributed():
            totals = totals.to(dist.get_comm_device())
            dist.all_reduce(totals)
        *sums, images = totals.tolist()
        for name, value in zip(names, sums):
            mean, key = value / images, f'val/val_{name}'
            # MMEngine logs what is called a loss as a mean over its history.
            runner.message_hub.log_scalars.pop(key, None)
            runner.message_hub.update_scalar(key, mean)
            if metrics is not None:
                metrics[f'val_{name}'] = mean


def _check_objects(samples: Sequence[Any]) -> None:
    if any('gt_instances' not in sample for sample in samples):
        raise ConfigError(
            'ValidationLossHook: the validation pipeline gives no objects; add '
            "dict(type='LoadAnnotations', with_bbox=True) to it, before Resize."
        )


@torch.no_grad()
def losses_of(model: Any, batch: dict[str, Any]) -> dict[str, Tensor]:
    """``loss``, the sum, and each term, of a batch as it comes from a loader.

    Raises:
        ValueError: An object cannot be learned.
    """
    model = model.module if is_model_wrapper(model) else model
    data = model.data_preprocessor(batch, False)
    _, terms = model.parse_losses(model(**data, mode='loss'))
    return dict(terms)
