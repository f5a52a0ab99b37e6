"""One training step, also where a batch does not fit into the GPU's memory."""

from functools import cache
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from .finite_step import FiniteStep
from .parts import NotInPartsError, reasons_against_parts, step_in_parts


class DoesNotFitError(RuntimeError):
    """A batch that is too large for the GPU, in whatever parts.

    The tools print it as one line and end with ``exit_code``.
    """

    exit_code = 2


def train_step(runner: Runner, data_batch: Any) -> dict:
    """Train on one batch; in parts, one after the other, if it does not fit.

    The parts are halves, or quarters where these do not fit either, down to one
    image. Together they give the batch's gradient, up to rounding, because the
    terms of each are weighed by what the batch is divided by. Only layers that
    mix the images of a batch (batch normalisation that is not frozen) and
    dropout's masks differ. Several processes stay in step: each exchanges its
    gradients once.

    Args:
        runner: Of the training; its model and optimiser are used.
        data_batch: What the data loader gave.

    Returns:
        The losses by name, for the log.

    Raises:
        DoesNotFitError: One image does not fit, or the step cannot be done in
            parts. It names the shape, the reason and what to change.
    """
    wrapper = runner.optim_wrapper
    count = wrapper.inner_count if isinstance(wrapper, FiniteStep) else 0
    try:
        return runner.model.train_step(data_batch, optim_wrapper=wrapper)
    except torch.OutOfMemoryError as error:
        reason = reasons_against_parts(runner.model, wrapper, data_batch, count)
        if reason:
            raise _refusal(runner, data_batch, reason) from error
    # Outside of the handler, where nothing holds the tensors of the failed step.
    parts = 2
    size = len(data_batch['inputs'])
    while True:
        wrapper.start_over()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            losses = step_in_parts(runner.model, wrapper, data_batch, parts)
        except NotInPartsError as error:
            raise _refusal(runner, data_batch, str(error)) from error
        except torch.OutOfMemoryError as error:
            if parts >= size:
                reason = 'one image alone does not fit'
                raise _refusal(runner, data_batch, reason) from error
            parts = min(2 * parts, size)
        else:
            _tell(_shape(data_batch), parts)
            return losses


def _refusal(runner: Runner, batch: Any, reason: str) -> DoesNotFitError:
    return DoesNotFitError(
        f'out of GPU memory in iteration {runner.iter + 1} with {_shape(batch)}, and '
        f'{reason}. Use a smaller train_dataloader.batch_size (now '
        f'{_size(batch)}) with optim_wrapper.accumulative_counts, a smaller scale '
        'in the pipeline, --amp, or model.backbone.with_cp=True.'
    )


@cache
def _tell(shape: str, parts: int) -> None:
    """Once for each shape."""
    logger = MMLogger.get_current_instance()
    logger.warning(
        f'{shape} did not fit into the GPU memory. The step was done in {parts} parts, '
        'which is slower; a smaller train_dataloader.batch_size or --amp avoids it.'
    )


def _size(batch: Any) -> int | str:
    return len(batch['inputs']) if isinstance(batch, dict) else 'unknown'


def _shape(batch: Any) -> str:
    if not isinstance(batch, dict):
        return 'a batch of unknown shape'
    shapes = [tuple(x.shape[-2:]) for x in batch['inputs']]
    height, width = (max(side) for side in zip(*shapes))
    return f'a batch of {len(shapes)} images, the largest sides {height} x {width}'
