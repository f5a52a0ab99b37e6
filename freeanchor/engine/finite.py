"""Notice a loss or a gradient that is no number before it reaches a checkpoint."""

import math
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

from freeanchor.registry import HOOKS


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop training where a loss or the norm of the gradients is not finite.

    Every iteration is judged, but together: when the values are fetched from the
    device for the log, after an epoch, and before a checkpoint is written, so
    that no file holds weights from after the first such iteration that was seen.

    Args:
        interval: Iterations between two looks; that of the logger, so that
            looking costs no transfer of its own.

    Raises:
        FloatingPointError: From the hook's methods. It names the value and the
            iteration.
    """

    # After the values are put in, before a checkpoint is written.
    priority = 'BELOW_NORMAL'

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self._judged: dict[str, int] = {}

    def before_train(self, runner: Runner) -> None:
        histories = _judgeable(runner)
        self._judged = {key: len(x.data[0]) for key, x in histories.items()}

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        if self.every_n_inner_iters(batch_idx, self.interval):
            self._judge(runner, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        self._judge(runner, runner.iter)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._judge(runner)

    def _judge(self, runner: Runner, done: int | None = None) -> None:
        for key, history in _judgeable(runner).items():
            values, judged = history.data[0], self._judged.get(key, 0)
            # A history that is full forgets as much as it learns.
            values = values[judged if judged < len(values) else -self.interval :]
            wrong = [i for i, x in enumerate(values) if not math.isfinite(x)]
            if wrong:
                # With accumulation there is not a norm in each iteration.
                where = ''
                if done is not None and 'loss' in key:
                    where = f' in iteration {done - len(values) + 1 + wrong[0]}'
                raise FloatingPointError(
                    f'{key} is {values[wrong[0]]}{where}. No checkpoint is written. Go '
                    'on from the last one with a lower optim_wrapper.optimizer.lr, a '
                    'longer warm-up or optim_wrapper.clip_grad=dict(max_norm=35), or '
                    'look at the data.'
                )
            self._judged[key] = len(history.data[0])


def _judgeable(runner: Runner) -> dict[str, HistoryBuffer]:
    """Losses, and after them the norm of the gradients that they give."""
    logs = runner.message_hub.log_scalars
    keys = [key for key in logs if key.startswith('train/') and 'loss' in key]
    # float16's gradients overflow now and then; its scaler skips such a step.
    if not hasattr(runner.optim_wrapper, 'loss_scaler'):
        keys += [key for key in logs if key == 'train/grad_norm']
    return {key: logs[key] for key in keys}
