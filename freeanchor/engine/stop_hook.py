"""End training on request, with its state saved."""

from typing import Any

from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner

from freeanchor.registry import HOOKS

from . import exit_codes
from .agreement import Agreement
from .signals import STOP, ShieldedWorker, StopRun
from .worker_faults import report_deaths_to_loader


class UnsavedStopError(RuntimeError):
    """A run that was stopped on request, and could not save its state."""

    exit_code = exit_codes.BUG


@HOOKS.register_module()
class StopHook(Hook):
    """On SIGTERM, SIGINT, SIGUSR1 or SIGUSR2 finish the step, save, and end.

    A signal to one of several processes stops all of them, at the same step. In
    a validation it is left, and run again from its beginning on resume. A second
    signal ends the process at once.

    Raises:
        StopRun: From the hook's methods, once the state is saved. Its exit code
            is 75.
    """

    priority = 'LOWEST'  # what is saved anyway at this step is saved by then

    def __init__(self) -> None:
        self._agreement: Agreement | None = None
        self._common_batches = 0
        self._installed = False

    def before_run(self, runner: Runner) -> None:
        for loop in (runner._train_loop, runner._val_loop):
            loader: Any = getattr(loop, 'dataloader', None)
            if getattr(loader, 'num_workers', 0):
                loader.worker_init_fn = ShieldedWorker(loader.worker_init_fn)
                report_deaths_to_loader()

    def before_train(self, runner: Runner) -> None:
        self._installed = STOP.install()
        self._agreement = Agreement()
        STOP.begin_training()

    def after_train(self, runner: Runner) -> None:
        STOP.end_training()
        self._agreement = None
        if self._installed:
            STOP.restore()

    def settled(self, runner: Any, after: str) -> None:
        if self._any_wants_to_stop():
            self._stop(runner)

    def before_val_epoch(self, runner: Runner) -> None:
        if self._agreement is not None:
            # Processes may have different numbers of batches.
            batches = len(runner.val_dataloader)
            self._common_batches = self._agreement.least(batches)

    def after_val_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        if batch_idx >= self._common_batches or not self._any_wants_to_stop():
            return
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):  # it validates with other weights
                hook._swap_ema_parameters()
        self._stop(runner)

    def _any_wants_to_stop(self) -> bool:
        if self._agreement is None:
            return False
        return self._agreement.any(STOP.requested is not None)

    def _stop(self, runner: Any) -> None:
        assert self._agreement is not None
        path = runner.save_state('stopped')
        # A launcher ends all processes as soon as one has ended.
        self._agreement.any_now(True)
        runner.visualizer.close()  # writes what it has not yet
        why = STOP.requested or 'a signal to another process'
        if path is None:
            raise UnsavedStopError(
                f'{why}: stopped after iteration {runner.iter}, whose state could not '
                'be saved. --resume goes on from the newest one that was.'
            )
        STOP.saved()
        exit_codes.record(exit_codes.STOPPED)
        raise StopRun(
            f'{why}: stopped after iteration {runner.iter}, the state is saved in '
            f'{path}. Go on with --resume.'
        )
