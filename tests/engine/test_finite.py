"""Steps that are not finite are counted, saved and in the end refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from freeanchor.engine import DetectionRunner, FiniteLossHook, NonFiniteError
from freeanchor.engine.finite_step import FiniteStep

from .lines import Points


class Line(BaseModel):
    """The loss (or its gradient alone) is not finite in some iterations."""

    def __init__(self, broken_at: tuple[int, ...] = (), alone: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)
        self.steps, self.broken_at, self.alone = 0, broken_at, alone

    def forward(self, x: Tensor, y: Tensor, mode: str) -> dict[str, Tensor]:
        self.steps += 1
        loss = (self.linear(x).squeeze(1) - y).square().mean()
        if self.steps in self.broken_at:
            loss = loss + ((loss * 0).sqrt() if self.alone else torch.inf)
        return dict(loss_line=loss, loss_other=0.5 * loss)


def runner_of(work_dir: Path, hook: dict, **settings: Any) -> DetectionRunner:
    torch.manual_seed(0)
    wrapper = settings.pop('wrapper', 'OptimWrapper')
    hooks = settings.pop('hooks', [])
    return DetectionRunner(
        Line(**settings),
        str(work_dir),
        train_dataloader=dict(
            dataset=Points(), batch_size=2, num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=12),
        optim_wrapper=dict(
            type=wrapper, optimizer=dict(type='SGD', lr=0.1, momentum=0.9)
        ),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=4),
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=5),
        ),
        custom_hooks=[dict(type='FiniteLossHook', **hook), *hooks],
        randomness=dict(seed=0),
        default_scope='freeanchor',
        experiment_name=str(work_dir),
    )  # fmt: skip


def hook_of(runner: DetectionRunner) -> FiniteLossHook:
    return next(x for x in runner.hooks if isinstance(x, FiniteLossHook))


@pytest.mark.parametrize('alone', [False, True])
def test_the_first_one_stops_the_run_if_none_may_be_left_out(
    tmp_path: Path, alone: bool
) -> None:
    runner = runner_of(tmp_path, dict(max_skips=0), broken_at=(7,), alone=alone)
    with pytest.raises(NonFiniteError) as error:
        runner.train()
    text = str(error.value)
    saved = tmp_path / 'bad_batches' / 'iter_7_rank_0.pth'
    assert 'iteration 7, rank 0: ' in text
    assert ('loss_line inf' in text) != alone
    assert ('a gradient is not' in text) == alone
    assert f'tools/analysis/replay_batch.py {saved}' in text
    assert '\n' not in text
    assert NonFiniteError.exit_code == 4
    assert runner.iter == 6
    assert all(x.isfinite().all() for x in runner.model.parameters())


def test_the_log_counts_the_steps_that_were_left_out_once_an_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    runner = runner_of(tmp_path, dict(interval=4), broken_at=(2, 3, 7))
    runner.train()
    lines = [x for x in capsys.readouterr().out.splitlines() if 'left out' in x]
    assert len(lines) == 2  # iterations 4 and 8
    assert '2 steps not finite and left out, 2 in all' in lines[0]
    assert 'iteration 3, rank 0' in lines[0]
    assert '1 step not finite and left out, 3 in all' in lines[1]
    assert hook_of(runner).skipped == 3


def test_as_many_in_a_row_as_allowed_and_no_more(tmp_path: Path) -> None:
    allowed = runner_of(tmp_path / '1', dict(max_skips=3), broken_at=(2, 3, 4, 6, 7, 8))
    allowed.train()
    assert hook_of(allowed).skipped == 6
    refused = runner_of(tmp_path / '2', dict(max_skips=3), broken_at=(2, 3, 5, 6, 7, 8))
    with pytest.raises(NonFiniteError, match=r'4 steps in a row .*iteration 8'):
        refused.train()


def test_few_batches_are_saved_and_the_last_one(tmp_path: Path) -> None:
    runner = runner_of(
        tmp_path, dict(max_skips=4, max_saved=2), broken_at=tuple(range(3, 12))
    )
    with pytest.raises(NonFiniteError, match='iteration 7'):
        runner.train()
    names = sorted(x.name for x in (tmp_path / 'bad_batches').iterdir())
    assert names == sorted(
        f'iter_{i}_{x}.pth' for i in (3, 4, 7) for x in ('rank_0', 'weights')
    )


def test_a_full_disk_does_not_end_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / 'bad_batches').write_text('not a folder')
    runner = runner_of(tmp_path, dict(interval=4), broken_at=(3,))
    runner.train()
    assert 'the batch could not be saved' in capsys.readouterr().out


def test_an_average_of_the_weights_stays_finite(tmp_path: Path) -> None:
    average = dict(type='EMAHook', momentum=0.5)
    runner = runner_of(tmp_path, {}, broken_at=(3, 12), hooks=[average])
    runner.train()
    state = torch.load(tmp_path / 'iter_10.pth', weights_only=True)
    for part in ('state_dict', 'ema_state_dict'):
        assert all(x.isfinite().all() for x in state[part].values()), part
    (hook,) = (x for x in runner.hooks if type(x).__name__ == 'EMAHook')
    assert all(x.isfinite().all() for x in hook.ema_model.state_dict().values())


@pytest.mark.parametrize('part', ['state_dict', 'ema_state_dict'])
def test_no_checkpoint_holds_weights_that_are_not_finite(part: str) -> None:
    weights = {'a': torch.ones(2), 'b': torch.tensor([1.0, torch.nan])}
    with pytest.raises(NonFiniteError, match='the first is b'):
        FiniteLossHook().before_save_checkpoint(None, {part: weights})


def test_large_weights_are_finite() -> None:
    weights = {'a': torch.full((4,), 3e38), 'steps': torch.tensor(3)}
    FiniteLossHook().before_save_checkpoint(None, dict(state_dict=weights))


def test_counts_go_on_after_a_resume() -> None:
    hook = FiniteLossHook()
    hook.load_state_dict(dict(skipped=7, in_a_row=2, saved=1))
    assert hook.state_dict() == dict(skipped=7, in_a_row=2, saved=1)
    assert hook.skipped == 7


def test_a_wrapper_that_leaves_nothing_out_stops_at_the_first_loss(
    tmp_path: Path,
) -> None:
    runner = runner_of(tmp_path, {}, broken_at=(7,), wrapper='mmengine.OptimWrapper')
    with pytest.raises(NonFiniteError, match=r'1 step in a row .*iteration 7'):
        runner.train()


class Scaled(FiniteStep):
    """float16's wrapper needs a GPU: this one finds every step overflown."""

    loss_scaler = 'is there'

    def __init__(self) -> None:
        pass

    def take_verdict(self) -> Tensor:
        return torch.ones(())


def test_float16_may_look_for_its_scale(tmp_path: Path) -> None:
    hook = FiniteLossHook(max_skips=0)
    runner: Any = SimpleNamespace(
        optim_wrapper=Scaled(), iter=0, rank=0, world_size=1, work_dir=str(tmp_path),
        model=nn.Linear(1, 1), cfg=SimpleNamespace(get=dict().get, pretty_text=''),
    )  # fmt: skip

    def iterate() -> None:
        hook.before_train_iter(runner, runner.iter, {})
        hook.after_train_iter(runner, runner.iter, {}, dict(loss=torch.ones(())))

    for runner.iter in range(32):
        iterate()
    runner.iter = 32
    with pytest.raises(NonFiniteError, match=r'33 steps in a row .*iteration 33'):
        iterate()
    assert len(list((tmp_path / 'bad_batches').iterdir())) == 2
