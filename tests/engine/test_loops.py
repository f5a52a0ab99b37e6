"""A run that was interrupted anywhere ends in every bit as one that was not."""

import gc
from pathlib import Path
from typing import Any

import pytest
import torch

from freeanchor.engine import ConfigError
from freeanchor.engine.checkpoint_folder import CheckpointFolder
from freeanchor.engine.loops import order_seed
from tests.faults.comparing import differences

from .lines import EPOCHS, InterruptedRunError, Interruption, runner_of

ALWAYS = dict(
    default_hooks=dict(
        checkpoint=dict(
            type='CheckpointHook', interval=1, save_best='spread', every_minutes=1e-9
        )
    )
)
BY_ITERATION = dict(
    train_cfg=dict(by_epoch=False, max_iters=17, val_interval=6),
    log_processor=dict(by_epoch=False),
    default_hooks=dict(
        checkpoint=dict(
            type='CheckpointHook',
            by_epoch=False,
            interval=4,
            save_best='spread',
            every_minutes=1e-9,
        )
    ),
)
EMA = dict(type='EMAHook', momentum=0.3)
STOPPING = dict(
    type='EarlyStoppingHook', monitor='spread', rule='less', patience=2, min_delta=9.0
)


def last_state(work_dir: Path) -> dict[str, Any]:
    entry = max(CheckpointFolder(work_dir).entries(), key=lambda x: (x.iter, x.epoch))
    return torch.load(work_dir / entry.file, weights_only=True)


def best_of(work_dir: Path) -> list[str]:
    return sorted(x.name for x in work_dir.glob('best_*'))


def train_interrupted(work_dir: Path, interruptions: list, **config: Any) -> Any:
    """Train; each interruption ends a run, which is started again."""
    for moment, iteration in interruptions:
        runner = runner_of(
            work_dir, resume=True, hooks=[Interruption(moment, iteration)], **config
        )
        with pytest.raises(InterruptedRunError):
            runner.train()
        # Its workers end with it, and not in the middle of another test.
        del runner
        gc.collect()
    runner = runner_of(work_dir, resume=True, **config)
    runner.train()
    return runner


def assert_interruptions_do_not_matter(
    tmp_path: Path, interruptions: list, **config: Any
) -> None:
    straight = runner_of(tmp_path / 'straight', **config)
    straight.train()
    resumed = train_interrupted(tmp_path / 'killed', interruptions, **config)
    assert resumed.iter == straight.iter
    states = last_state(tmp_path / 'straight'), last_state(tmp_path / 'killed')
    assert differences(*states) == []
    assert best_of(tmp_path / 'straight') == best_of(tmp_path / 'killed')


@pytest.fixture(scope='module')
def straight(tmp_path_factory) -> Path:
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp('straight')
    runner_of(folder, **ALWAYS).train()
    return folder


@pytest.mark.parametrize('iteration', [0, 1, 4, 5, 9, 13, 19])
def test_interrupted_in_a_step(straight, tmp_path, iteration):
    """T1."""
    train_interrupted(tmp_path, [('after_train_iter', iteration)], **ALWAYS)
    assert differences(last_state(straight), last_state(tmp_path)) == []
    assert best_of(straight) == best_of(tmp_path)


@pytest.mark.parametrize(
    ('workers', 'persistent'),
    [
        (0, False),
        (2, False),
        pytest.param(2, True, marks=[pytest.mark.slow, pytest.mark.heavy]),
    ],
)
def test_interrupted_again_and_again(straight, tmp_path, workers, persistent):
    """T1, T11: in steps, before and after validation, between epochs."""
    moments = [
        ('before_train_iter', 3),
        ('after_train_epoch', 5),
        ('before_val_epoch', 5),
        ('after_train_iter', 5),
        ('before_train_epoch', 10),
        ('after_val_epoch', 10),
        ('before_save_checkpoint', 15),
        ('after_val_iter', 15),
    ]
    options: dict[str, Any] = dict(workers=workers, persistent=persistent)
    train_interrupted(tmp_path, moments, **options, **ALWAYS)
    assert differences(last_state(straight), last_state(tmp_path)) == []


@pytest.mark.parametrize('iteration', [2, 5, 7, 12])
def test_interrupted_in_the_middle_of_an_accumulation(tmp_path, iteration):
    assert_interruptions_do_not_matter(
        tmp_path,
        [('after_train_iter', iteration)],
        optim_wrapper=dict(
            optimizer=dict(type='SGD', lr=0.1, momentum=0.9), accumulative_counts=3
        ),
        **ALWAYS,
    )


def test_interrupted_with_averaged_weights_and_early_stopping(tmp_path):
    """T11: it also stops where the straight run does."""
    config: dict[str, Any] = dict(ALWAYS, custom_hooks=[EMA, STOPPING])
    straight = runner_of(tmp_path / 'straight', **config)
    straight.train()
    assert straight.epoch == 3 < EPOCHS
    interruptions = [('after_train_iter', 7), ('after_val_iter', 10)]
    resumed = train_interrupted(tmp_path / 'killed', interruptions, **config)
    assert resumed.epoch == 3
    states = last_state(tmp_path / 'straight'), last_state(tmp_path / 'killed')
    assert 'ema_state_dict' in states[0]
    assert differences(*states) == []


@pytest.mark.parametrize('sampler', ['DefaultSampler', 'InfiniteSampler'])
@pytest.mark.parametrize('workers', [0, 2])
def test_interrupted_in_an_iteration_based_run(tmp_path, sampler, workers):
    config = dict(BY_ITERATION)
    loader = dict(
        dataset=dict(type='NoisyPoints'),
        batch_size=4,
        num_workers=workers,
        sampler=dict(type=sampler, shuffle=True),
        collate_fn=dict(type='default_collate'),
    )
    moments = [('after_train_iter', 4), ('after_val_iter', 6), ('after_train_iter', 13)]
    assert_interruptions_do_not_matter(
        tmp_path, moments, train_dataloader=loader, **config
    )


def test_validation_workers_that_persist_draw_nothing_from_training(tmp_path):
    validation = dict(
        dataset=dict(type='NoisyPoints', noise=0.0),
        batch_size=4,
        num_workers=1,
        persistent_workers=True,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
    )
    assert_interruptions_do_not_matter(
        tmp_path, [('after_train_iter', 12)], val_dataloader=validation, **ALWAYS
    )


def test_only_epochs_are_saved_unless_minutes_are_given(tmp_path):
    """At most an interval is done again, and ends the same."""
    assert_interruptions_do_not_matter(tmp_path, [('after_train_iter', 8)])


def test_a_run_that_has_ended_is_not_trained_on(tmp_path):
    runner_of(tmp_path).train()
    before = last_state(tmp_path)
    runner_of(tmp_path, resume=True).train()
    assert differences(before, last_state(tmp_path)) == []


@pytest.mark.parametrize(
    ('cfg', 'key'),
    [
        (dict(train_cfg=dict(by_epoch=True, max_epochs=0)), 'max_epochs=0'),
        (
            {**BY_ITERATION, 'train_cfg': dict(by_epoch=False, max_iters=0)},
            'max_iters=0',
        ),
    ],
)
def test_a_training_without_length_is_an_error(tmp_path, cfg, key):
    with pytest.raises(ConfigError, match=rf'train_cfg\.{key}: training takes 1 or'):
        runner_of(tmp_path, **cfg).train()


def test_going_to_the_position_loads_no_data(tmp_path):
    """T1: indices are skipped, samples are not."""
    taken = tmp_path / 'taken.txt'
    runner = runner_of(
        tmp_path / 'run', hooks=[Interruption('after_train_iter', 8)], **ALWAYS
    )
    with pytest.raises(InterruptedRunError):
        runner.train()
    stop = Interruption('after_train_iter', 8)
    runner = runner_of(
        tmp_path / 'run',
        resume=True,
        accept=True,
        taken=str(taken),
        hooks=[stop],
        **ALWAYS,
    )
    with pytest.raises(InterruptedRunError):
        runner.train()
    assert len(taken.read_text().splitlines()) == 4  # one batch


def test_an_epoch_repeats_neither_order_nor_noise(tmp_path):
    runner = runner_of(tmp_path)
    loader = runner.build_train_loop(runner._train_loop).dataloader
    epochs = []
    for epoch in (0, 1, 0):
        loader.start_at(order_seed(runner), epoch)
        epochs.append(torch.cat([x for x, _ in loader]))
    first, second, again = epochs
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    # Nor the same noise in another order.
    assert len(torch.cat([first, second]).unique(dim=0)) == 40


@pytest.mark.parametrize('workers', [1, 3])
def test_the_number_of_workers_does_not_matter(tmp_path, workers):
    """T11."""
    alone = runner_of(tmp_path / 'none')
    alone.train()
    several = runner_of(tmp_path / 'some', workers=workers, persistent=workers == 3)
    several.train()
    states = last_state(tmp_path / 'none'), last_state(tmp_path / 'some')
    assert differences(*states) == []


def test_without_a_seed_a_run_goes_on_with_the_one_it_began_with(tmp_path):
    config: dict[str, Any] = dict(ALWAYS, randomness=dict(seed=None))
    first = runner_of(
        tmp_path / 'run', hooks=[Interruption('after_train_iter', 7)], **config
    )
    with pytest.raises(InterruptedRunError):
        first.train()
    straight = runner_of(
        tmp_path / 'straight', **ALWAYS, randomness=dict(seed=first.seed)
    )
    straight.train()
    resumed = runner_of(tmp_path / 'run', resume=True, **config)
    assert resumed.seed != first.seed
    resumed.train()
    states = last_state(tmp_path / 'straight'), last_state(tmp_path / 'run')
    assert differences(*states) == []


def test_another_batch_size_goes_on_at_the_same_sample(tmp_path):
    runner = runner_of(tmp_path, hooks=[Interruption('after_train_iter', 8)], **ALWAYS)
    with pytest.raises(InterruptedRunError):
        runner.train()
    loader = dict(
        dataset=dict(type='NoisyPoints'),
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type='default_collate'),
    )
    resumed = runner_of(
        tmp_path, resume=True, accept=True, train_dataloader=loader, **ALWAYS
    )
    resumed._train_loop = resumed.build_train_loop(resumed._train_loop)
    resumed.optim_wrapper = resumed.build_optim_wrapper(resumed.optim_wrapper)
    resumed.param_schedulers = resumed.build_param_scheduler(resumed.param_schedulers)
    resumed.load_or_resume()
    loop = resumed.train_loop
    assert (loop.epoch, loop.position.batch, loop.iter) == (1, 6, 16)
