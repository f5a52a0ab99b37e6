"""Optimiser steps that never wait for the device."""

from typing import Any

import torch
from mmengine import optim
from torch import Tensor

from freeanchor.registry import OPTIM_WRAPPERS

from .finite_step import FiniteStep

FUSED = ('SGD', 'Adam', 'AdamW')
"""Optimisers of which PyTorch has a fused form, on a CPU and on CUDA."""
_FORMS = ('fused', 'foreach')


@OPTIM_WRAPPERS.register_module()
class OptimWrapper(FiniteStep, optim.OptimWrapper):
    """MMEngine's ``OptimWrapper``; it leaves out steps that are not finite.

    Arguments are those of :class:`mmengine.optim.OptimWrapper`. The norm of the
    gradients stays on the device.
    """

    def load_state_dict(self, state_dict: dict) -> None:
        # Which form computes the step is this run's choice, not the file's.
        forms = [{k: group.get(k) for k in _FORMS} for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, form in zip(self.param_groups, forms):
            group.update({k: v for k, v in form.items() if k in group})
        match_layout(self.optimizer)


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
