"""MMEngine's runner, with a readable screen and CPUs as good as GPUs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.device import get_device
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from freeanchor.registry import RUNNERS

from .batch import StepBatch
from .distributed import model_wrapper, prepare_processes, start_without_gpu
from .naming import ConfigError
from .screen import make_readable


@RUNNERS.register_module()
class DetectionRunner(Runner):
    """What the tools run a config with; any MMEngine runner would do.

    The differences are: processes without a GPU train together, the screen
    shows what a person reads (the log file has everything), gradient
    accumulation counts when the learning rate is scaled, and a value that a
    class refuses while it is built is the config's fault: ``ConfigError``.
    """

    def setup_env(self, env_cfg: dict) -> None:
        if self.distributed:
            prepare_processes(self.launcher)
            if get_device() == 'cpu':
                start_without_gpu(**env_cfg.get('dist_cfg', {}))
        super().setup_env(env_cfg)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        return make_readable(super().build_logger(*args, **kwargs))

    def build_model(self, model: Any) -> nn.Module:
        with _fault_of_config('model'):
            return super().build_model(model)

    def build_evaluator(self, evaluator: Any) -> Evaluator:
        with _fault_of_config('evaluator'):
            return super().build_evaluator(evaluator)

    @staticmethod
    def build_dataloader(*args: Any, **kwargs: Any) -> DataLoader:
        with _fault_of_config('data'):
            return Runner.build_dataloader(*args, **kwargs)

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        if self.distributed:
            unused = self.cfg.get('find_unused_parameters', False)
            model_wrapper_cfg = model_wrapper(model_wrapper_cfg, unused)
        return super().wrap_model(model_wrapper_cfg, model)

    def scale_lr(
        self, optim_wrapper: OptimWrapper, auto_scale_lr: dict | None = None
    ) -> None:
        """Scale the learning rate with the images of a step, if the config asks."""
        if not (auto_scale_lr or {}).get('enable'):
            return
        factor = StepBatch.of(self.cfg, self.world_size).factor
        several = isinstance(optim_wrapper, OptimWrapperDict)
        for wrapper in optim_wrapper.values() if several else [optim_wrapper]:
            for group in wrapper.optimizer.param_groups:
                group['lr'] *= factor


@contextmanager
def _fault_of_config(part: str) -> Iterator[None]:
    try:
        yield
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f'{part}: {error}') from error
