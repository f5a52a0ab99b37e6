"""Optimiser steps that never wait for the device."""

from typing import Any

import torch
from mmengine import optim
from torch import Tensor

from freeanchor.registry import OPTIM_WRAPPERS

FUSED = ('SGD', 'Adam', 'AdamW')
"""Optimisers of which PyTorch has a fused form, on a CPU and on CUDA."""
_FORMS = ('fused', 'foreach')


@OPTIM_WRAPPERS.register_module()
class OptimWrapper(optim.OptimWrapper):
    """MMEngine's ``OptimWrapper``; the norm of the gradients stays on the device.

    Arguments are those of :class:`mmengine.optim.OptimWrapper`.
    """

    def step(self, **kwargs: Any) -> None:
        give_momentum(self.optimizer)
        super().step(**kwargs)

    def load_state_dict(self, state_dict: dict) -> None:
        # Which form computes the step is this run's choice, not the file's.
        forms = [{k: group.get(k) for k in _FORMS} for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, form in zip(self.param_groups, forms):
            group.update({k: v for k, v in form.items() if k in group})
        match_layout(self.optimizer)

    def _clip_grad(self) -> None:
        groups = self.optimizer.param_groups
        params = [p for group in groups for p in group['params'] if p.grad is not None]
        if not params:
            return
        found = self.clip_func(params, **self.clip_grad_kwargs)
        if found is not None:  # clipping by value has none
            self.message_hub.update_scalar(f'train/{self.grad_name}', found)


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


def match_layout(optimizer: torch.optim.Optimizer) -> None:
    """Give an optimiser's state the memory format of its parameters.

    A fused optimiser needs both alike, and a checkpoint may come from a model
    of another format, or from an optimiser that counts its steps on the CPU.
    """
    fused = {
        id(p): bool(group.get('fused'))
        for group in optimizer.param_groups
        for p in group['params']
    }
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if not isinstance(value, Tensor):
                continue
            if key == 'step' and fused.get(id(parameter)):
                state[key] = value.to(parameter.device, torch.float32)
            elif value.shape == parameter.shape:
                like = torch.empty_like(parameter, dtype=value.dtype)
                state[key] = like.copy_(value)


def prefer_fused(wrapper: Any, device: str) -> Any:
    """Ask for the fused form of a config's optimiser, unless the config says.

    One kernel then updates all parameters, where otherwise each has several.

    Args:
        wrapper: The config ``optim_wrapper``; what is not a dict with an
            optimiser is returned as it is.
        device: Kind of device that the parameters are on.
    """
    if not isinstance(wrapper, dict) or not isinstance(wrapper.get('optimizer'), dict):
        return wrapper
    optimizer = wrapper['optimizer']
    chosen = {'fused', 'foreach', 'capturable', 'differentiable'} & set(optimizer)
    if optimizer.get('type') not in FUSED or chosen or device not in ('cpu', 'cuda'):
        return wrapper
    if wrapper.get('type') == 'AmpOptimWrapper':
        # Where float16 overflows in the first step, the fused SGD skips it and
        # leaves its momentum as memory happened to be.
        return wrapper
    return {**wrapper, 'optimizer': {**optimizer, 'fused': True}}
