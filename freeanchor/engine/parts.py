"""A training step on the parts of a batch, with the gradient of the whole."""

from contextlib import nullcontext
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from .finite_step import FiniteStep

Shares = dict[str, Tensor]


class NotInPartsError(RuntimeError):
    """A step that cannot be done in parts; the message says why."""


def reasons_against_parts(
    model: nn.Module, wrapper: Any, batch: Any, count: int
) -> str | None:
    """Why a step that has failed cannot be tried again in parts; None if it can.

    Args:
        model: As the runner has it.
        wrapper: Of the optimiser.
        batch: What the data loader gave.
        count: The wrapper's ``inner_count`` from before the step.
    """
    loss = getattr(_unwrapped(model), 'loss', None)
    if not isinstance(wrapper, FiniteStep) or not hasattr(loss, 'counts'):
        return 'this model or optimiser has no steps in parts'
    if not isinstance(batch, dict) or len(batch['inputs']) < 2:
        return 'one image alone does not fit'
    if wrapper._accumulative_counts > 1:
        return 'gradients of earlier batches are accumulated already'
    if wrapper.inner_count != count:
        return 'the optimiser itself ran out of it'
    if is_model_wrapper(model):
        if any(p.grad is not None for p in model.parameters()):
            return 'the processes were exchanging gradients'
        if getattr(model, 'broadcast_buffers', False):
            return 'the processes exchange buffers in each forward pass'
    return None


def step_in_parts(
    model: nn.Module, wrapper: FiniteStep, batch: dict, num_parts: int
) -> dict[str, Tensor]:
    """Forward and backward part by part, then one step.

    Args:
        model: As the runner has it, with a loss that has ``counts``.
        wrapper: Of the optimiser.
        batch: What the data loader gave.
        num_parts: At most as many as there are images.

    Returns:
        The losses of the whole batch by name, for the log.

    Raises:
        torch.OutOfMemoryError: A part does not fit.
        NotInPartsError: It cannot be tried again.
    """
    parts = _split(_unwrapped(model).data_preprocessor(batch, True), num_parts)
    total: dict[str, Tensor] = {}
    for part, shares in zip(parts, _shares(_unwrapped(model), wrapper, parts)):
        is_last = part is parts[-1]
        for key, value in _add_part(model, wrapper, part, shares, is_last).items():
            total[key] = total[key] + value.detach() if key in total else value.detach()
    return total


def _add_part(
    model: Any, wrapper: Any, part: dict, shares: Shares, is_last: bool
) -> dict[str, Tensor]:
    # The processes exchange gradients once, with the last part.
    alone = not is_last and hasattr(model, 'no_sync')
    with model.no_sync() if alone else nullcontext():
        with wrapper.optim_context(model):
            terms = model(**part, mode='loss')
        terms = {key: value * shares[key] for key, value in terms.items()}
        loss, log = _unwrapped(model).parse_losses(terms)
        if not is_last:
            wrapper.backward_part(loss)
            return log
    count = wrapper.inner_count
    try:
        wrapper.update_params(loss)
    except torch.OutOfMemoryError as error:
        if is_model_wrapper(model) or wrapper.inner_count != count:
            raise NotInPartsError(
                'the processes were exchanging gradients, or the optimiser stepping'
            ) from error
        raise
    return log


def _split(data: dict[str, Any], num_parts: int) -> list[dict[str, Any]]:
    """Parts of a batch that is padded to one size already, as whole batches are."""
    length = len(data['inputs'])
    ends = [length * (i + 1) // num_parts for i in range(num_parts)]
    pieces = (slice(start, end) for start, end in zip([0, *ends], ends))
    return [{key: value[piece] for key, value in data.items()} for piece in pieces]


def _shares(model: Any, wrapper: Any, parts: list[dict]) -> list[Shares]:
    """What each term of each part is multiplied by to add up to the batch's."""
    counts = [_counts(model, wrapper, part) for part in parts]
    whole = {key: sum(x[key] for x in counts) for key in counts[0]}
    return [
        {key: _divisor(x[key]) / _divisor(whole[key]) for key in whole} for x in counts
    ]


def _divisor(count: int | Tensor) -> Tensor:
    return torch.as_tensor(count, dtype=torch.float32).clamp(min=1)


@torch.no_grad()
def _counts(model: Any, wrapper: Any, part: dict) -> dict[str, int | Tensor]:
    found: list[dict] = []

    def look(loss: Any, args: tuple) -> None:
        found.append(loss.counts(*args))

    modes = [(module, module.training) for module in model.modules()]
    handle = model.loss.register_forward_pre_hook(look)
    try:
        model.eval()  # neither random numbers nor statistics may change
        with wrapper.optim_context(model):
            model(**part, mode='loss')
    except NotImplementedError as error:
        raise NotInPartsError(f'its loss has no parts: {error}') from error
    finally:
        handle.remove()
        for module, mode in modes:
            module.training = mode
    return found[0]


def _unwrapped(model: Any) -> Any:
    return model.module if is_model_wrapper(model) else model
