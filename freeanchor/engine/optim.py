"""Optimiser steps that never wait for the device."""

from typing import Any

import torch
from mmengine import optim
from torch import Tensor

from freeanchor.registry import OPTIM_WRAPPERS

FUSED = ('SGD', 'Adam', 'AdamW')
"""Optimisers of which PyTorch has a fused form, on a CPU and on CUDA."""


@OPTIM_WRAPPERS.register_module()
class OptimWrapper(optim.OptimWrapper):
    """MMEngine's ``OptimWrapper``; the norm of the gradients stays on the device.

    Arguments are those of :class:`mmengine.optim.OptimWrapper`.
    """

    def load_state_dict(self, state_dict: dict) -> None:
        super().load_state_dict(state_dict)
        match_layout(self.optimizer)

    def _clip_grad(self) -> None:
        groups = self.optimizer.param_groups
        params = [p for group in groups for p in group['params'] if p.grad is not None]
        if not params:
            return
        found = self.clip_func(params, **self.clip_grad_kwargs)
        if found is not None:  # clipping by value has none
            self.message_hub.update_scalar(f'train/{self.grad_name}', found)


def match_layout(optimizer: torch.optim.Optimizer) -> None:
    """Give an optimiser's state the memory format of its parameters.

    A fused optimiser needs both alike, and a checkpoint may come from a model
    of another format.
    """
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
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
    return {**wrapper, 'optimizer': {**optimizer, 'fused': True}}
