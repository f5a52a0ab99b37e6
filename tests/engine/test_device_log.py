"""What is logged is MMEngine's, and nothing is waited for."""

from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from freeanchor.engine import DetectionRunner
from freeanchor.engine.device_log import DeviceMessageHub

from .lines import Points

INTERVAL, SAVED = 4, 5
SCOPES: dict[type[Runner], str] = {DetectionRunner: 'freeanchor', Runner: 'mmengine'}
# What makes Python wait for a device: a number or a mask's size is asked for.
WAITS = ('_local_scalar_dense', 'is_nonzero', 'item', 'nonzero', 'masked_select')


class Waits(TorchDispatchMode):
    """Counts operators that would wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name in WAITS:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str) -> dict[str, Tensor]:
        loss = (self.linear(x).squeeze(1) - y).square().mean()
        return dict(loss_line=loss, loss_other=0.5 * loss.abs())


class Watch(Hook):
    """Notes how often each iteration has waited, hooks included, loader not."""

    def __init__(self, waits: Waits) -> None:
        self.waits, self.counts = waits, list[int]()

    def before_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        self.waits.seen.clear()

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        self.counts.append(len(self.waits.seen))


def waits_of(runner: Runner) -> dict[int, int]:
    """Iteration, from 1, and how often it waited."""
    waits = Waits()
    watch = Watch(waits)
    runner.register_hook(watch, 'LOWEST')
    with waits:
        runner.train()
    return dict(enumerate(watch.counts, start=1))


def runner_of(kind: type[Runner], work_dir: Path) -> Runner:
    torch.manual_seed(0)
    runner = kind(
        Line(),
        str(work_dir),
        train_dataloader=dict(
            dataset=Points(), batch_size=2, num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(type=f'{SCOPES[kind]}.IterBasedTrainLoop', max_iters=10),
        optim_wrapper=dict(
            optimizer=dict(type='SGD', lr=0.1, momentum=0.9, fused=True),
            clip_grad=dict(max_norm=0.5),
        ),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=INTERVAL),
            checkpoint=dict(
                type=f'{SCOPES[kind]}.CheckpointHook', by_epoch=False, interval=SAVED
            ),
        ),
        custom_hooks=[dict(type='FiniteLossHook', interval=INTERVAL)],
        log_processor=dict(by_epoch=False, window_size=3),
        randomness=dict(seed=0),
        default_scope='freeanchor',
        experiment_name=f'{work_dir}-{kind.__name__}',
    )  # fmt: skip
    return runner


def histories(runner: Runner) -> dict[str, list[float]]:
    logs = runner.message_hub.log_scalars
    return {k: v.data[0].tolist() for k, v in logs.items() if 'time' not in k}


def test_every_number_of_the_log_is_mmengines(tmp_path: Path) -> None:
    ours = runner_of(DetectionRunner, tmp_path / 'ours')
    ours.train()
    assert type(ours.message_hub) is DeviceMessageHub
    theirs = runner_of(Runner, tmp_path / 'theirs')
    theirs.train()
    found, expected = histories(ours), histories(theirs)
    assert set(found) == set(expected)
    assert set(found) >= {'train/loss', 'train/grad_norm', 'train/loss_other'}
    for key, values in found.items():
        assert values == expected[key], key


def test_nothing_is_waited_for_between_two_lines_of_the_log(tmp_path: Path) -> None:
    counts = waits_of(runner_of(DetectionRunner, tmp_path))
    quiet = [i for i in counts if i % INTERVAL and i % SAVED]
    assert {i: counts[i] for i in quiet} == dict.fromkeys(quiet, 0)


def test_mmengine_waits_for_every_value(tmp_path: Path) -> None:
    """So the test above would notice."""
    assert min(waits_of(runner_of(Runner, tmp_path)).values()) >= 4


def test_whoever_asks_for_the_current_hub_gets_the_runners(tmp_path: Path) -> None:
    runner = runner_of(DetectionRunner, tmp_path)
    assert MessageHub.get_current_instance() is runner.message_hub


def test_values_are_read_in_the_order_they_came() -> None:
    hub = DeviceMessageHub('order')
    hub.update_scalar('a', torch.tensor(1.5))
    hub.update_scalar('b', torch.tensor(7, dtype=torch.float64))
    hub.update_scalar('a', torch.tensor([2.5]), count=2)
    hub.update_scalar('plain', 3)
    assert hub.get_scalar('a').data[0].tolist() == [1.5, 2.5]
    assert hub.get_scalar('a').data[1].tolist() == [1, 2]
    assert hub.get_scalar('b').current() == 7
    assert hub.state_dict()['log_scalars']['plain'].current() == 3


def test_a_waiting_value_keeps_no_graph() -> None:
    hub = DeviceMessageHub('graph')
    hub.update_scalar('loss', torch.ones((), requires_grad=True) * 2)
    assert not hub._waiting[0][1].requires_grad
