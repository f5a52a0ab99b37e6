"""MMEngine's training loops, which can be left and entered at any iteration.

Besides MMEngine's moments they call one more on every hook that has it, on all
processes: ``settled(runner, after)``, when no step, epoch or validation is under
way and ``runner.iter`` and ``runner.epoch`` count what is finished. ``after`` is
``'iteration'``, ``'epoch'`` or ``'validation'``. State is saved there, and before
that ``saving(runner)`` is called on all processes.
"""

from collections.abc import Iterator
from typing import Any

from mmengine import dist, runner

from freeanchor.registry import LOOPS

from .naming import ConfigError
from .out_of_memory import train_step
from .position import Position
from .random_state import random_state, set_random_state
from .sampling import ResumableLoader
from .worker_faults import explain_worker_death


@LOOPS.register_module()
class EpochBasedTrainLoop(runner.EpochBasedTrainLoop):
    """MMEngine's, resumable. Arguments are those of MMEngine's.

    Raises:
        ConfigError: There is nothing to train.
    """

    def __init__(self, runner: Any, dataloader: Any, *args: Any, **kwargs: Any) -> None:
        loader = _resumable(runner, dataloader)
        super().__init__(runner, loader, *args, **kwargs)
        _check_length('max_epochs', self._max_epochs)
        self.position = Position()

    def run(self) -> Any:
        """Train, from where the state that was loaded left off."""
        self.runner.call_hook('before_train')
        _validate_if_due(self)
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            self.position.validation_due = self._is_to_be_validated()
            self.runner.call_hook('settled', after='epoch')
            _validate_if_due(self)
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """The rest of an epoch; usually all of it."""
        first = self.position.batch
        if first == 0:
            self.position.restore_random()
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        self.dataloader.start_at(order_seed(self.runner), self._epoch, first)
        for index, batch in enumerate(_batches_of(self), start=first):
            self.position.restore_random()
            self.run_iter(index, batch)
            self.position.batch = index + 1
            self.runner.call_hook('settled', after='iteration')
        self.position.restore_random()  # should it have been the epoch's end
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1
        self.position.batch = 0

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """One step."""
        _run_step(self, idx, data_batch)

    def state_dict(self) -> dict[str, Any]:
        return _state_of(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        length = len(self.dataloader)
        self._epoch, self.stop_training = state['epoch'], state['stop_training']
        self.position.load(state, samples_of(self.runner))
        self.position.batch = min(self.position.batch, length)
        self._iter = state['iter']
        if state['samples'] != samples_of(self.runner):
            self._iter = self._epoch * length + self.position.batch

    def _is_to_be_validated(self) -> bool:
        return (
            self.runner.val_loop is not None
            and self._epoch >= self.val_begin
            and (
                self._epoch % self.val_interval == 0 or self._epoch == self._max_epochs
            )
        )


@LOOPS.register_module()
class IterBasedTrainLoop(runner.IterBasedTrainLoop):
    """MMEngine's, resumable. Arguments are those of MMEngine's.

    Raises:
        ConfigError: There is nothing to train.
    """

    def __init__(self, runner: Any, dataloader: Any, *args: Any, **kwargs: Any) -> None:
        # Nothing is loaded when MMEngine's takes an iterator of it.
        loader = _resumable(runner, dataloader)
        super().__init__(runner, loader, *args, **kwargs)
        _check_length('max_iters', self._max_iters)
        self.position = Position()

    def run(self) -> Any:
        """Train, from where the state that was loaded left off."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self.position.restore_random()
        _validate_if_due(self)
        batches = self._batches()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(batches))
            self._decide_current_val_interval()
            self.position.validation_due = self._is_to_be_validated()
            self.runner.call_hook('settled', after='iteration')
            _validate_if_due(self)
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_iter(self, data_batch: Any) -> None:
        """One step."""
        _run_step(self, self._iter, data_batch)

    def state_dict(self) -> dict[str, Any]:
        return _state_of(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._iter, self.stop_training = state['iter'], state['stop_training']
        self.position.load(state, samples_of(self.runner))
        if state['samples'] != samples_of(self.runner):
            self._iter = self._iter * state['samples'] // samples_of(self.runner)

    def _batches(self) -> Iterator[Any]:
        """Batches without end, pass after pass through the data."""
        position = self.position
        while True:
            seed = order_seed(self.runner)
            self.dataloader.start_at(seed, position.passes, position.batch)
            for batch in _batches_of(self):
                position.batch += 1
                yield batch
            position.passes += 1
            position.batch = 0

    def _is_to_be_validated(self) -> bool:
        return (
            self.runner.val_loop is not None
            and self._iter >= self.val_begin
            and (self._iter % self.val_interval == 0 or self._iter == self._max_iters)
        )


def order_seed(runner: Any) -> int:
    """The seed that is the same in all processes."""
    if runner._randomness_cfg.get('diff_rank_seed', False):
        return runner.seed - dist.get_rank()
    return runner.seed


def samples_of(runner: Any) -> int:
    """Samples of one iteration over all processes."""
    loader = runner.train_dataloader
    return (loader.batch_sampler.batch_size or 1) * runner.world_size


def _check_length(key: str, number: int) -> None:
    if number < 1:
        raise ConfigError(
            f'train_cfg.{key}={number}: training takes 1 or more. To test without '
            'training: tools/test.py CONFIG CHECKPOINT.'
        )


def _resumable(runner: Any, dataloader: Any) -> Any:
    """``dataloader`` (a config or a loader), able to begin at any batch."""
    if isinstance(dataloader, dict):
        dataloader = runner.build_dataloader(
            dataloader,
            seed=runner.seed,
            diff_rank_seed=runner._randomness_cfg.get('diff_rank_seed', False),
        )
    if hasattr(dataloader, 'start_at'):
        return dataloader
    return ResumableLoader(dataloader)


def _batches_of(loop: Any) -> Iterator[Any]:
    """The loader's batches; if a worker dies, what is done is saved first."""
    batches = iter(loop.dataloader)
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except (RuntimeError, OSError, EOFError) as error:
            died = explain_worker_death(error)
            if died is None:
                raise
            # Several processes would have to save together, and the others
            # are in the middle of their step.
            if loop.runner.world_size == 1:
                loop.runner.save_state('a data worker died')
            raise died from error
        yield batch


def _run_step(loop: Any, index: int, batch: Any) -> None:
    runner = loop.runner
    runner.call_hook('before_train_iter', batch_idx=index, data_batch=batch)
    outputs = train_step(runner, batch)
    runner.call_hook(
        'after_train_iter', batch_idx=index, data_batch=batch, outputs=outputs
    )
    loop._iter += 1


def _validate_if_due(loop: Any) -> None:
    if not loop.position.validation_due:
        return
    position = loop.position
    position.restore_random()
    # A validation draws more or fewer numbers: where workers persist, only the
    # first one starts them. Training is not to notice.
    position.before_validation = random_state()
    loop.runner.val_loop.run()
    set_random_state(position.before_validation)
    position.before_validation = None
    position.validation_due = False
    loop.runner.call_hook('settled', after='validation')


def _state_of(loop: Any) -> dict[str, Any]:
    return dict(
        epoch=loop.epoch,
        iter=loop.iter,
        stop_training=loop.stop_training,
        samples=samples_of(loop.runner),
        **loop.position.state(),
    )
