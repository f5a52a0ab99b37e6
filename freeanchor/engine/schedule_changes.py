"""Go on from a checkpoint with another learning rate, schedule or optimiser."""

import logging
import warnings
from collections.abc import Iterable
from typing import Any

from mmengine.logging import print_log

from .config_changes import PROCESSES, Change
from .loops import samples_of

_OPTIMISER_KEYS = ('optim_wrapper.', 'auto_scale_lr.')
_SCHEDULE_KEYS = ('param_scheduler', 'train_cfg.max_')
_STEP_KEYS = (PROCESSES, 'train_dataloader.batch_size')


def use_new_values(
    runner: Any, state: dict[str, Any], changes: Iterable[Change]
) -> None:
    """Let a checkpoint carry the rates and schedules of the runner's own config.

    They are put where a run of that config would be after as many iterations and
    epochs; the optimiser keeps its momenta, where they fit.

    Args:
        runner: Its optimiser and schedulers are built and have not stepped.
        state: The checkpoint, not restored yet. ``optimizer`` and
            ``param_schedulers`` are replaced if a change is about them.
        changes: What differs from the checkpoint's config.
    """
    keys = [change.key for change in changes]
    if 'optimizer' not in state or not _concern_rates(keys, runner):
        return
    _replay(runner, *_steps_done(state, runner))
    fresh = runner.optim_wrapper.state_dict()
    same_type = not any(key.endswith('optimizer.type') for key in keys)
    state['optimizer'] = _with_momenta(fresh, state['optimizer'], same_type)
    schedulers = runner.param_schedulers or []
    state['param_schedulers'] = (
        {key: [x.state_dict() for x in group] for key, group in schedulers.items()}
        if isinstance(schedulers, dict)
        else [x.state_dict() for x in schedulers]
    )


def _concern_rates(keys: list[str], runner: Any) -> bool:
    about: tuple[str, ...] = _OPTIMISER_KEYS + _SCHEDULE_KEYS
    if (runner.auto_scale_lr or {}).get('enable'):
        about += _STEP_KEYS
    return any(key.startswith(about) for key in keys)


def _steps_done(state: dict[str, Any], runner: Any) -> tuple[int, int]:
    """Iterations of the size they have now, and epochs."""
    done = state.get('loop') or state['meta']
    samples = samples_of(runner)
    iterations = done['iter'] * done.get('samples', samples) // samples
    return iterations, done['epoch']


def _replay(runner: Any, iterations: int, epochs: int) -> None:
    """Step all schedulers as often as the run has, in the order it has."""
    schedulers = runner.param_schedulers or []
    groups = schedulers.values() if isinstance(schedulers, dict) else [schedulers]
    flat = [x for group in groups for x in group]
    by_epoch = [x for x in flat if x.by_epoch]
    by_iter = [x for x in flat if not x.by_epoch]
    length = len(runner.train_dataloader)
    ends = 0
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the optimiser has not stepped before them
        for iteration in range(1, iterations + 1):
            _step(by_iter)
            if iteration % length == 0 and ends < epochs:
                _step(by_epoch)
                ends += 1
        for _ in range(epochs - ends):
            _step(by_epoch)


def _step(schedulers: Iterable[Any]) -> None:
    for scheduler in schedulers:
        scheduler.step()


def _with_momenta(fresh: dict, saved: dict, same_type: bool) -> dict[str, Any]:
    """The fresh state of an optimiser with what the saved one has gathered."""
    if 'param_groups' not in fresh:  # several optimisers, by name
        return {
            key: _with_momenta(value, saved.get(key, {}), same_type)
            if isinstance(value, dict)
            else value
            for key, value in fresh.items()
        }
    if same_type and _sizes(fresh) == _sizes(saved):
        return {**fresh, 'state': saved['state']}
    print_log(
        'The optimiser is another one than in the checkpoint: it starts without '
        'momenta.',
        logger='current',
        level=logging.WARNING,
    )
    return fresh


def _sizes(optimizer: dict) -> list[int]:
    return [len(group['params']) for group in optimizer.get('param_groups', [])]
