"""When the state of a run is saved, and which of the files stay."""

import math
import shutil
from pathlib import Path
from typing import Any

import torch
from mmengine import dist
from mmengine.hooks import Hook

from freeanchor.registry import HOOKS

from .checkpoint_folder import CheckpointFolder
from .loops import IterBasedTrainLoop
from .naming import ConfigError
from .plain import from_plain
from .snapshot import take_snapshot
from .timed import EveryMinutes
from .weights import CheckpointError

_RULES = ('greater', 'less')


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Save everything that an interrupted run needs to end as if it had not been.

    A file is complete before it has its name, is read back before older ones
    are deleted, and the two newest always stay. Where it cannot be written, as
    on a full disk, the run goes on, says so each time and tries again.

    Args:
        interval: Epochs (or iterations) between two checkpoints; -1 for none.
        by_epoch: Count ``interval`` in epochs.
        every_minutes: Save besides whenever so many minutes have passed.
        max_keep_ckpts: How many of those saved by ``interval`` stay; -1 for all.
        save_best: A metric, or a list of them, whose best checkpoint is kept
            besides; ``'auto'`` is the first one of the evaluation.
        rule: ``'greater'`` or ``'less'``: which score is better. ``'less'`` for
            losses unless given.
        save_last: Save after the last epoch (or iteration) in any case.

    Raises:
        ValueError: ``rule`` is another word.
        CheckpointError: At the end of training, when the last state could not
            be saved.
    """

    priority = 'VERY_LOW'

    def __init__(
        self,
        interval: int = -1,
        by_epoch: bool = True,
        every_minutes: float | None = None,
        max_keep_ckpts: int = -1,
        save_best: str | list[str] | None = None,
        rule: str | None = None,
        save_last: bool = True,
    ) -> None:
        if rule is not None and rule not in _RULES:
            raise ValueError(f'rule is {rule!r}: write one of {", ".join(_RULES)}')
        self.interval = interval
        self.by_epoch = by_epoch
        self.max_keep_ckpts = max_keep_ckpts
        self.save_best = [save_best] if isinstance(save_best, str) else save_best or []
        self.rule = rule
        self.save_last = save_last
        self._clock = EveryMinutes(every_minutes) if every_minutes else None
        self._best: dict[str, dict[str, Any]] = {}  # score and file by metric
        self._better: dict[str, float] = {}  # scores whose state is to be saved
        self._saved_iter = -1
        self._folder: CheckpointFolder | None = None

    def state_dict(self) -> dict[str, Any]:
        return dict(best=self._best)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._best = state['best']

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        for key in ('meta', 'message_hub'):
            if key in checkpoint:
                checkpoint[key] = from_plain(checkpoint[key])

    def before_train(self, runner: Any) -> None:
        if not hasattr(runner.train_loop, 'position'):
            raise ConfigError(
                f'train_cfg.type is {type(runner.train_loop).__name__}, a loop that '
                'cannot be resumed: use EpochBasedTrainLoop or IterBasedTrainLoop, or '
                'derive from one of freeanchor.engine.loops'
            )
        by_iter = isinstance(runner.train_loop, IterBasedTrainLoop)
        if self.by_epoch and self.interval > 0 and by_iter:
            raise ConfigError(
                'default_hooks.checkpoint counts its interval in epochs, of which this '
                'training has none: set by_epoch=False there, and the interval in '
                'iterations'
            )
        self._folder = CheckpointFolder(runner.work_dir)
        if dist.is_main_process():
            self._folder.clean()
        self._forget_lost_files(runner)
        self._saved_iter = runner.iter if runner.iter else -1
        if self._clock:
            self._clock.start(runner.iter)

    def settled(self, runner: Any, after: str) -> None:
        """Save where it is time to; called by our training loops."""
        if after == 'validation':
            self._save_best(runner)
        elif self._is_interval(runner, after):
            self.save(runner, self._name(runner), 'interval')
        elif after == 'iteration' and self._clock and self._clock.is_due(runner.iter):
            self.save(runner, f'iter_{runner.iter}.pth', 'moment')

    def after_val_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        for key in self._watched(metrics or {}):
            score = (metrics or {}).get(key)
            if score is None:
                runner.logger.warning(
                    f'save_best={key!r} is none of the metrics: {", ".join(metrics)}'
                    if metrics
                    else 'There are no metrics to find the best checkpoint by.'
                )
            elif self._is_better(key, score):
                self._better[key] = score
                runner.message_hub.update_info('best_score', score)

    def after_train(self, runner: Any) -> None:
        if not self.save_last or self._saved_iter == runner.iter:
            return
        saved = self.save(runner, self._name(runner), 'interval')
        if saved is None:
            raise CheckpointError(
                f'training has ended, but its last state could not be saved in '
                f'{runner.work_dir}: make room there and resume'
            )

    def save(self, runner: Any, name: str, kind: str) -> Path | None:
        """Write the state of the run; all processes call it.

        Args:
            runner: Between two steps.
            name: Name of the file.
            kind: One of ``checkpoint_folder.KINDS``.

        Returns:
            The file, in all processes; None where it could not be written.
        """
        runner.call_hook('saving')
        state = take_snapshot(runner)
        answer = [False]
        if dist.is_main_process():
            answer[0] = self._write(runner, name, kind, state)
        # What comes next is to be the same in all processes.
        dist.broadcast_object_list(answer)
        self._saved_iter = runner.iter if answer[0] else -1
        return Path(runner.work_dir) / name if answer[0] else None

    def _write(self, runner: Any, name: str, kind: str, state: dict) -> bool:
        assert self._folder is not None
        try:
            path = self._folder.write(name, state, kind)
            best = [x['file'] for x in self._best.values()]
            self._folder.keep(self.max_keep_ckpts, best)
        except OSError as error:
            self._say_failed(runner, name, state, error)
            return False
        runner.logger.info(f'Saved {path}')
        return True

    def _forget_lost_files(self, runner: Any) -> None:
        """Let the next score be the best where the file of the best is gone.

        So it is when an earlier state is gone back to than the one that won.
        """
        there = [{k for k, x in self._best.items() if self._is_there(runner, x)}]
        dist.broadcast_object_list(there)
        for key in set(self._best) - there[0]:
            lost = self._best.pop(key)
            runner.logger.info(f'{lost["file"]} is gone: the best {key} is found anew.')

    def _is_there(self, runner: Any, best: dict[str, Any]) -> bool:
        return (Path(runner.work_dir) / best['file']).is_file()

    def _is_interval(self, runner: Any, after: str) -> bool:
        if self.interval <= 0 or self.by_epoch != (after == 'epoch'):
            return False
        done = runner.epoch if self.by_epoch else runner.iter
        end = runner.max_epochs if self.by_epoch else runner.max_iters
        return done % self.interval == 0 or (self.save_last and done == end)

    def _name(self, runner: Any) -> str:
        if self.by_epoch:
            return f'epoch_{runner.epoch}.pth'
        return f'iter_{runner.iter}.pth'

    def _watched(self, metrics: dict[str, float]) -> list[str]:
        if self.save_best == ['auto']:
            return list(metrics)[:1]
        return self.save_best

    def _is_better(self, key: str, score: float) -> bool:
        if not math.isfinite(score):
            return False
        rule = self.rule or ('less' if 'loss' in key.lower() else 'greater')
        best = self._best.get(key, {}).get('score')
        return best is None or (score > best if rule == 'greater' else score < best)

    def _save_best(self, runner: Any) -> None:
        better, self._better = self._better, {}
        for key, score in better.items():
            before = self._best.get(key)
            stem = f'best_{key.replace("/", "_")}_{Path(self._name(runner)).stem}'
            self._best[key] = dict(score=score, file=f'{stem}.pth')
            saved = self.save(runner, f'{stem}.pth', 'best')
            if saved is not None:
                runner.logger.info(f'The best {key} so far: {score:.4f}')
            else:
                # The file of the best before is the one that is there.
                self._best.pop(key)
                self._best.update({key: before} if before else {})

    def _say_failed(self, runner: Any, name: str, state: Any, error: Exception) -> None:
        folder = Path(runner.work_dir)
        try:
            room = f'{shutil.disk_usage(folder).free / 1e6:,.1f} MB are free'
        except OSError as reason:
            room = str(reason)
        runner.logger.warning(
            f'{folder / name} was not saved ({error}): it needs about '
            f'{_size_of(state) / 1e6:,.1f} MB, and {room}. Training goes on, what was '
            'saved before stays, and the next time it is tried again.'
        )


def _size_of(value: Any) -> int:
    """Bytes of the tensors in a state."""
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, dict):
        return sum(map(_size_of, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_size_of, value))
    return 0
