"""MMEngine's runner, with a readable screen and CPUs as good as GPUs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.evaluator import Evaluator
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from freeanchor.registry import RUNNERS

from .batch import StepBatch
from .checkpoints import CheckpointHook
from .compilation import compile_network
from .device_log import DeviceMessageHub
from .distributed import (
    meeting_place,
    model_wrapper,
    prepare_processes,
    start_without_gpu,
)
from .fine_tuning import keep_what_fits
from .naming import ConfigError
from .optim import prefer_fused
from .prefetch import DevicePrefetcher
from .resume import resume_run
from .sampling import ResumableLoader
from .screen import make_readable
from .workers import with_workers


@RUNNERS.register_module()
class DetectionRunner(Runner):
    """What the tools run a config with; any MMEngine runner would do.

    The differences are: processes without a GPU train together, the screen
    shows what a person reads (the log file has everything), gradient
    accumulation counts when the learning rate is scaled, and a value that a
    class refuses while it is built is the config's fault: ``ConfigError``.

    For speed, weights and maps are in channels-last order, batches are pinned
    and moved to a GPU ahead of time, optimisers are fused, log values stay on
    the device until they are read, and ``compile=True`` or a dict of
    ``torch.compile``'s arguments compiles backbone, neck and head.
    """

    _train_dataloader: Any  # MMEngine's: a config until the loop is built
    _has_loaded: bool

    #: Whether a run may be resumed with a config that makes it another one.
    accept_config_changes = False

    def setup_env(self, env_cfg: dict) -> None:
        if self.distributed:
            prepare_processes(self.launcher)
            if get_device() == 'cpu':
                start_without_gpu(**env_cfg.get('dist_cfg', {}))
            else:
                place = {**env_cfg.get('dist_cfg', {}), **meeting_place()}
                env_cfg = {**env_cfg, 'dist_cfg': place}
        super().setup_env(env_cfg)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        return make_readable(super().build_logger(*args, **kwargs))

    def build_model(self, model: Any) -> nn.Module:
        with _fault_of_config('model'):
            return super().build_model(model)

    def build_message_hub(self, message_hub: dict | None = None) -> MessageHub:
        name = (message_hub or {}).get('name', self._experiment_name)
        return DeviceMessageHub.become_current(str(name))

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        return super().build_optim_wrapper(prefer_fused(optim_wrapper, get_device()))

    def build_train_loop(self, loop: Any) -> BaseLoop:
        if isinstance(self._train_dataloader, dict):
            loader = self.build_dataloader(
                self._train_dataloader,
                seed=self.seed,
                diff_rank_seed=self._randomness_cfg.get('diff_rank_seed', False),
            )
            resumable = ResumableLoader(loader)
            on_gpu = get_device() == 'cuda'
            self._train_dataloader = (
                DevicePrefetcher(resumable, 'cuda') if on_gpu else resumable
            )
        if isinstance(loop, dict) and 'by_epoch' in loop and 'type' not in loop:
            # MMEngine would take its own loop, past the registry.
            loop = dict(loop)
            by_epoch = loop.pop('by_epoch')
            loop['type'] = 'EpochBasedTrainLoop' if by_epoch else 'IterBasedTrainLoop'
        return super().build_train_loop(loop)

    def load_or_resume(self) -> None:
        """Go on from ``load_from``, or from the newest intact state of the folder.

        Without ``resume`` only the weights of ``load_from`` are taken; where a
        training begins with them, those that fit.
        """
        if self._has_loaded:
            return
        if self._resume:
            resume_run(self, self._load_from)
            self._has_loaded = True
            self.dump_config()
        else:
            keep_what_fits(self)
            super().load_or_resume()

    def dump_config(self) -> None:
        # MMEngine writes it before it is known whether this run may go on here.
        if self._resume and not self._has_loaded:
            return
        try:
            super().dump_config()
        except OSError as error:
            self.logger.warning(f'The config was not written ({error}).')

    def save_state(self, reason: str) -> Path | None:
        """Save what a resumed run needs, now; all processes call it.

        Args:
            reason: Why, for the log.

        Returns:
            The file; None where it could not be written, where the config has no
            ``CheckpointHook``, and in all processes but the first.
        """
        for hook in self.hooks:
            if isinstance(hook, CheckpointHook):
                self.logger.info(f'Saving the state of the run: {reason}')
                return hook.save(self, f'iter_{self.iter}.pth', 'moment')
        return None

    def build_evaluator(self, evaluator: Any) -> Evaluator:
        with _fault_of_config('evaluator'):
            return super().build_evaluator(evaluator)

    @staticmethod
    def build_dataloader(dataloader: Any, *args: Any, **kwargs: Any) -> DataLoader:
        with _fault_of_config('data'):
            return Runner.build_dataloader(
                pinned(with_workers(dataloader)), *args, **kwargs
            )

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        if self.distributed:
            unused = self.cfg.get('find_unused_parameters', False)
            model_wrapper_cfg = model_wrapper(model_wrapper_cfg, unused)
        model = model.to(memory_format=torch.channels_last)
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

    def _maybe_compile(self, target: str) -> None:
        options = self.cfg.get('compile')
        if options is not None and options is not False:
            model = self.model.module if is_model_wrapper(self.model) else self.model
            compile_network(model, options)


def pinned(dataloader: Any) -> Any:
    """A loader's config with ``pin_memory`` where there is a GPU, unless it says."""
    if not isinstance(dataloader, dict) or 'pin_memory' in dataloader:
        return dataloader
    return {**dataloader, 'pin_memory': get_device() == 'cuda'}


@contextmanager
def _fault_of_config(part: str) -> Iterator[None]:
    try:
        yield
    except ConfigError:
        raise
    except ValueError as error:
        if hasattr(error, 'exit_code'):  # of the data, for example
            raise
        raise ConfigError(f'{part}: {error}') from error
