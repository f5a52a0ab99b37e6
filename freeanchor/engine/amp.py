"""Mixed precision: bfloat16 where the device has it, else float16."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine import optim
from torch import Tensor, nn

from freeanchor.registry import OPTIM_WRAPPERS

from .finite_step import FiniteStep
from .naming import ConfigError
from .optim import OptimWrapper

_PLAIN = (None, 'OptimWrapper', 'Bfloat16OptimWrapper', 'AmpOptimWrapper')


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """Run the forward pass under bfloat16 autocast, on a GPU or a CPU.

    bfloat16 has the range of float32, so that losses need no scaling.
    MMEngine's ``AmpOptimWrapper`` refuses to work on a CPU. Arguments are those
    of :class:`OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(FiniteStep, optim.AmpOptimWrapper):
    """MMEngine's float16 with its scaler, which tells of steps that are left out.

    Arguments are those of :class:`mmengine.optim.AmpOptimWrapper`.
    """

    def _clipped_norm(self) -> Tensor:
        self.loss_scaler.unscale_(self.optimizer)
        return super()._clipped_norm()

    def _step_unless(self, found: Tensor, **kwargs: Any) -> None:
        # The scaler has looked for the same in `unscale_`.
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update(self._scale_update_param)


def use_amp(cfg: Any) -> None:
    """Change a config's ``optim_wrapper`` to mixed precision, in place.

    Raises:
        ConfigError: The config has an optimiser wrapper of its own.
    """
    kind = cfg.optim_wrapper.get('type')
    if kind not in _PLAIN:
        raise ConfigError(
            f'--amp would replace optim_wrapper.type={kind!r}: '
            'leave out one of the two.'
        )
    if kind == 'AmpOptimWrapper':  # the config has chosen already
        return
    if has_bfloat16():
        cfg.optim_wrapper.type = 'Bfloat16OptimWrapper'
    else:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.dtype = 'float16'
        cfg.optim_wrapper.loss_scale = 'dynamic'


def has_bfloat16() -> bool:
    """Whether the device computes in bfloat16 without emulating it."""
    if not torch.cuda.is_available():
        return True
    return torch.cuda.is_bf16_supported(including_emulation=False)
