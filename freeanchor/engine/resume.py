"""Go on with a run: find its newest intact state, and say what has changed."""

from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.runner import CheckpointLoader

from .checkpoint_folder import CheckpointFolder, Found
from .config_changes import check_config_changes
from .loops import order_seed
from .plain import from_plain
from .schedule_changes import use_new_values
from .snapshot import restore_snapshot, surroundings
from .weights import CheckpointError


def resume_run(runner: Any, checkpoint: str | None) -> bool:
    """Restore the state of a run in a runner that is built.

    Args:
        runner: Ours.
        checkpoint: A file or URL; None for the newest intact checkpoint of the
            work folder.

    Returns:
        False where the work folder has no checkpoint: the run starts afresh,
        and the log says so.

    Raises:
        CheckpointError: All checkpoints are damaged, or the one that is named.
        ConfigError: The checkpoint is of another model, or of another config and
            ``runner.accept_config_changes`` is not set.
    """
    if checkpoint is None:
        found = _found_by_first_process(runner.work_dir)
        if found is None:
            runner.logger.info(
                f'There is no checkpoint in {runner.work_dir} to resume from: the run '
                'starts from the beginning.'
            )
            return False
        for reason in found.damaged:
            runner.logger.warning(
                f'{reason}. It is passed over: the run goes on from {found.path.name}, '
                f'iteration {found.iter}.'
            )
        checkpoint = str(found.path)
    state = CheckpointLoader.load_checkpoint(checkpoint, 'cpu', runner.logger)
    if 'iter' not in (state.get('meta') or {}) or 'message_hub' not in state:
        raise CheckpointError(
            f'{checkpoint} holds weights, not the state of a run: begin a new run with '
            'them by load_from, without --resume.'
        )
    changes = check_config_changes(
        from_plain(state['meta']),
        runner.cfg,
        runner.accept_config_changes,
        runner.world_size,
        len(runner.train_dataloader.dataset),
    )
    use_new_values(runner, state, changes)
    if all(x.key != 'randomness.seed' for x in changes):
        _take_seed(runner, state['meta'])
    restore_snapshot(runner, state, checkpoint)
    _put_later_ones_aside(runner, Path(checkpoint))
    for difference in differences(state['meta'], runner):
        runner.logger.warning(difference)
    runner.logger.info(
        f'Resumed from {checkpoint}: resumed epoch: {runner.epoch}, iter: {runner.iter}'
    )
    return True


def differences(meta: dict[str, Any], runner: Any) -> list[str]:
    """Why a resumed run may differ from an uninterrupted one, a sentence each."""
    found = []
    now = {**surroundings(), 'processes': runner.world_size}
    then = {**meta.get('surroundings', {}), 'processes': meta.get('world_size')}
    changed = [
        f'{key} {then[key]} -> {now[key]}'
        for key in now
        if then.get(key) is not None and then[key] != now[key]
    ]
    if changed:
        found.append(
            'The resumed run goes on at the same sample, but not bit for bit, because '
            f'it runs elsewhere than before: {", ".join(changed)}.'
        )
    elif now['device'] != 'cpu':
        found.append(
            'On a GPU sums are taken in no fixed order: the resumed run sees the same '
            'samples and random numbers, but is not bit for bit the same.'
        )
    return found


def _found_by_first_process(work_dir: str) -> Found | None:
    """What process 0 found, in all of them: a folder may be seen late elsewhere."""
    answer: list[Any] = [None, None]
    if dist.is_main_process():
        try:
            answer[0] = CheckpointFolder(work_dir).newest_intact()
        except Exception as error:
            answer[1] = error  # all processes are to end by it
    dist.broadcast_object_list(answer)
    if answer[1] is not None:
        raise answer[1]
    return answer[0]


def _take_seed(runner: Any, meta: dict[str, Any]) -> None:
    seed = meta.get('seed')
    if seed is None or seed == order_seed(runner):
        return
    runner.logger.info(f'The run goes on with its seed, {seed}.')
    runner._randomness_cfg.update(seed=seed)
    runner.set_randomness(**runner._randomness_cfg)


def _put_later_ones_aside(runner: Any, checkpoint: Path) -> None:
    """Keep another resumption from taking what this run has gone back behind."""
    if not dist.is_main_process() or not checkpoint.is_file():
        return
    folder = CheckpointFolder(runner.work_dir)
    if checkpoint.resolve().parent != folder.folder.resolve():
        return
    named = [x for x in folder.entries() if x.file == checkpoint.name]
    if named and (aside := folder.set_aside(named[0].iter)):
        runner.logger.info(f'Checkpoints of later iterations were moved to {aside}.')
