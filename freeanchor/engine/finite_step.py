"""Steps of the optimiser that leave out what is not finite, and do not wait.

Each step is judged on the device, after the processes have exchanged their
gradients, so that all of them decide alike. A step that is left out leaves no
trace: weights, momentum and step counts stay as they were, bit for bit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, get_total_norm

from .running_statistics import RunningStatistics


class FiniteStep:
    """Mixin for MMEngine's wrappers of an optimiser.

    A fused optimiser leaves a step out on the device, by itself. Any other has
    to be called or not: on a CPU that is free, on a GPU it waits once a step.
    """

    optimizer: torch.optim.Optimizer
    clip_func: Callable
    clip_grad_kwargs: dict | None
    grad_name: str
    message_hub: Any
    scale_loss: Callable[[Tensor], Tensor]
    zero_grad: Callable[[], None]
    inner_count: int
    _inner_count: int
    _accumulative_counts: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._verdict: Tensor | None = None
        self._statistics = RunningStatistics()

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        self._statistics.keep(model)
        with super().optim_context(model):  # type: ignore[misc]
            yield

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Backpropagate; a loss that is not finite gives no finite gradients.

        So the gradients alone say whether the loss of any process was finite.
        """
        kwargs.setdefault('gradient', one_if_finite(loss))
        super().backward(loss, **kwargs)  # type: ignore[misc]

    def step(self, **kwargs: Any) -> None:
        """Clip the gradients, judge them, and step if they are finite."""
        give_momentum(self.optimizer)
        norm = self._clipped_norm()
        found = norm.isfinite().logical_not().float()
        self._step_unless(found, **kwargs)
        self._statistics.restore_if(found)
        self._verdict = found

    def backward_part(self, loss: Tensor) -> None:
        """Backpropagate a part of an iteration's batch; another one follows."""
        count = self._inner_count
        self.backward(self.scale_loss(loss))
        self._inner_count = count

    def start_over(self) -> None:
        """Forget the gradients since the last step, and what it did to statistics."""
        self.zero_grad()
        self._statistics.restore_if(torch.ones(()))

    def take_verdict(self) -> Tensor | None:
        """1 if the last step was left out, else 0: a scalar on the device.

        None if there was no step since it was taken last, as while gradients
        are accumulated.
        """
        verdict, self._verdict = self._verdict, None
        return verdict

    def _clipped_norm(self) -> Tensor:
        """Norm of all gradients, from before they are clipped."""
        groups = self.optimizer.param_groups
        params = [p for group in groups for p in group['params'] if p.grad is not None]
        grads = [p.grad for p in params]
        if not self.clip_grad_kwargs:
            return get_total_norm(grads)
        if self.clip_func is not clip_grad_norm_:
            # Clipping by value would make an infinity finite: look before.
            norm = get_total_norm(grads)
            self.clip_func(params, **self.clip_grad_kwargs)
            return norm
        norm = self.clip_func(params, **self.clip_grad_kwargs)
        self.message_hub.update_scalar(f'train/{self.grad_name}', norm)
        return norm

    def _step_unless(self, found: Tensor, **kwargs: Any) -> None:
        optimizer: Any = self.optimizer
        if not skips_on_device(optimizer):
            if not found.tolist():
                optimizer.step(**kwargs)
            return
        optimizer.found_inf = found
        try:
            optimizer.step(**kwargs)
        finally:
            del optimizer.found_inf


def one_if_finite(loss: Tensor) -> Tensor:
    """1 in the loss's shape and dtype, or NaN if it is infinite or no number."""
    return loss.detach() * 0 + 1


def skips_on_device(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the optimiser can leave out a step without being told by the host."""
    if not getattr(optimizer, '_step_supports_amp_scaling', False):
        return False
    # Its first step leaves the momentum of a fused SGD as memory happened to be,
    # unless the momentum has begun: see `give_momentum`.
    return not any(group.get('dampening') for group in optimizer.param_groups)


def give_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Start the momentum of parameters that get their first gradient, at zero.

    Unless all start together, a fused SGD refuses those without. A step from
    zero is the step that SGD takes without momentum.
    """
    if not isinstance(optimizer, torch.optim.SGD):
        return
    for group in optimizer.param_groups:
        if not group['fused'] or not group['momentum'] or group['dampening']:
            continue
        for parameter in group['params']:
            state = optimizer.state[parameter]
            if parameter.grad is not None and state.get('momentum_buffer') is None:
                state['momentum_buffer'] = torch.zeros_like(parameter)
