"""Steps that are not finite: left out, counted, kept for a look, in the end refused."""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor
from torch.nn.utils import get_total_norm

from freeanchor.registry import HOOKS

from .bad_batch import names_of, save_bad_batch, save_weights
from .finite_step import FiniteStep
from .late_flag import LateFlag
from .random_state import random_state

_SCALER_PATIENCE = 32
"""Steps in a row that float16's scaler may leave out: it halves its scale each
time, from 65536 down to numbers at which nothing can overflow any more."""


class NonFiniteError(FloatingPointError):
    """Losses, gradients or weights that are infinite or no numbers.

    The tools print it as one line and end with ``exit_code``.
    """

    exit_code = 4


@dataclass
class _Iteration:
    """What a step may have to be explained by."""

    number: int  # from 1
    batch: Any
    random: dict[str, Any]  # before the step
    losses: dict[str, Tensor] = field(default_factory=dict)

    def values(self) -> dict[str, float]:
        return {key: float(x) for key, x in self.losses.items()}


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Count the steps that were not finite, and stop after too many in a row.

    The optimiser's wrapper leaves such a step out before it reaches the
    weights (:class:`freeanchor.engine.finite_step.FiniteStep`). What it found
    is read at once on a CPU and one iteration later on a GPU, so that nothing
    waits. The batches of the first such steps are saved for
    ``tools/analysis/replay_batch.py``. With a wrapper that does not leave steps
    out, the first loss that is not finite stops the training.

    Args:
        max_skips: Steps in a row that may be left out; 0 to stop at the first.
            Where float16 has a scaler at least 32, as they are its way to find
            its scale; fewer than that are neither counted nor saved.
        interval: Iterations between two warnings.
        max_saved: Steps whose batches are saved, besides the one that stops the
            training.

    Raises:
        NonFiniteError: From the hook's methods. It names iteration, process,
            terms, images, the saved batch and how to replay it.
    """

    # After the values are put in, before a checkpoint is written.
    priority = 'BELOW_NORMAL'

    def __init__(
        self, max_skips: int = 10, interval: int = 50, max_saved: int = 3
    ) -> None:
        self.max_skips = max_skips
        self.interval = interval
        self.max_saved = max_saved
        self.skipped = 0  # in all
        self._in_a_row = 0
        self._saved = 0
        self._news: list[str] = []
        self._seen: list[_Iteration] = []  # since the last step
        self._unread: deque[tuple[LateFlag, list[_Iteration]]] = deque()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        self._seen.append(_Iteration(runner.iter + 1, data_batch, random_state()))

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        self._seen[-1].losses = {
            key: torch.as_tensor(x).detach() for key, x in (outputs or {}).items()
        }
        verdict = _verdict(runner, self._seen[-1].losses)
        if verdict is not None:
            self._unread.append((LateFlag(verdict), self._seen))
        if verdict is not None or not _leaves_out(runner):
            self._seen = []
        self._read(runner, leave=1)
        if (runner.iter + 1) % self.interval == 0:
            self._tell(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        self._read(runner)
        self._tell(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        for key in ('state_dict', 'ema_state_dict'):
            _check_weights(checkpoint.get(key, {}))

    def state_dict(self) -> dict[str, int]:
        skipped, in_a_row = self.skipped, self._in_a_row
        for flag, _ in self._unread:
            found = flag.read()
            skipped += found
            in_a_row = in_a_row + 1 if found else 0
        return dict(skipped=skipped, in_a_row=in_a_row, saved=self._saved)

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.skipped, self._in_a_row = state['skipped'], state['in_a_row']
        self._saved = state['saved']

    def _read(self, runner: Runner, leave: int = 0) -> None:
        """Read flags; on a GPU all but the last ``leave``, which are under way."""
        while self._unread:
            flag, iterations = self._unread[0]
            if flag.is_late and len(self._unread) <= leave:
                return
            self._unread.popleft()
            if flag.read():
                self._count(runner, iterations)
            else:
                self._in_a_row = 0

    def _count(self, runner: Runner, iterations: list[_Iteration]) -> None:
        self._in_a_row += 1
        self.skipped += 1
        if self._in_a_row > self._limit(runner):
            self._stop(runner, iterations)
        if _has_scaler(runner):
            return
        about = _described(iterations, runner.rank)
        if self._saved < self.max_saved:
            self._saved += 1
            about += f'; {_save(runner, iterations)}'
        self._news.append(about)

    def _limit(self, runner: Runner) -> int:
        if _has_scaler(runner):
            return max(self.max_skips, _SCALER_PATIENCE)
        return self.max_skips if _leaves_out(runner) else 0

    def _stop(self, runner: Runner, iterations: list[_Iteration]) -> NoReturn:
        values = [x for it in iterations for x in it.values().values()]
        own = (
            not all(map(math.isfinite, values)),
            f'{_described(iterations, runner.rank)}; {_save(runner, iterations)}',
        )
        # All processes stop at the same step, so that each can speak for all.
        reports = dist.all_gather_object(own) if _leaves_out(runner) else [own]
        guilty = [text for is_guilty, text in reports if is_guilty]
        raise NonFiniteError(
            f'{_steps(self._in_a_row)} in a row not finite: '
            f'{" | ".join(guilty or [text for _, text in reports])}. Mend the data, or '
            'go on from the last checkpoint with a lower optim_wrapper.optimizer.lr, a '
            'longer warm-up or optim_wrapper.clip_grad=dict(max_norm=35).'
        )

    def _tell(self, runner: Runner) -> None:
        if self._news:
            runner.logger.warning(
                f'{_steps(len(self._news))} not finite and left out, {self.skipped} in '
                f'all. The last: {self._news[-1]}'
            )
            self._news = []


def _leaves_out(runner: Runner) -> bool:
    return isinstance(runner.optim_wrapper, FiniteStep)


def _has_scaler(runner: Runner) -> bool:
    return hasattr(runner.optim_wrapper, 'loss_scaler')


def _verdict(runner: Runner, losses: dict[str, Tensor]) -> Tensor | None:
    if isinstance(runner.optim_wrapper, FiniteStep):
        return runner.optim_wrapper.take_verdict()
    loss = losses.get('loss')
    return None if loss is None else loss.isfinite().logical_not()


def _suspect(iterations: list[_Iteration]) -> tuple[_Iteration, bool]:
    """The iteration whose loss is not finite, else the last; whether it is not."""
    for iteration in iterations:
        if not all(map(math.isfinite, iteration.values().values())):
            return iteration, True
    return iterations[-1], False


def _described(iterations: list[_Iteration], rank: int) -> str:
    suspect, is_bad = _suspect(iterations)
    terms = ', '.join(f'{key} {x:.4g}' for key, x in suspect.values().items())
    about = '' if is_bad else ' (the loss is finite here, a gradient is not)'
    return (
        f'iteration {suspect.number}, rank {rank}: {terms}{about}; '
        f'images {names_of(suspect.batch)}'
    )


def _save(runner: Runner, iterations: list[_Iteration]) -> str:
    """Save the batches of a step; where they are, in words."""
    try:
        weights = save_weights(runner, iterations[-1].number)
        paths = {
            x.number: save_bad_batch(
                runner, x.number, x.batch, x.values(), x.random, weights
            )
            for x in iterations
        }
    except OSError as error:
        return f'the batch could not be saved ({error})'
    path = paths[_suspect(iterations)[0].number]
    return f'look at it with: python tools/analysis/replay_batch.py {path}'


def _check_weights(state: dict[str, Any]) -> None:
    weights = [
        x for x in state.values() if torch.is_tensor(x) and x.is_floating_point()
    ]
    if weights and not get_total_norm(weights).isfinite():
        names = [
            key
            for key, x in state.items()
            if torch.is_tensor(x) and not x.isfinite().all()
        ]
        if names:
            raise NonFiniteError(
                f'{len(names)} tensors of the weights are not finite, the first is '
                f'{names[0]}. No checkpoint is written. Go on from the last one.'
            )


def _steps(count: int) -> str:
    return f'{count} step{"" if count == 1 else "s"}'
