"""What an accepted change of rates does to a checkpoint."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import LinearLR, MultiStepLR, OptimWrapper

from freeanchor.engine.config_changes import Change
from freeanchor.engine.schedule_changes import use_new_values


def runner_of(lr: float, milestones: list[int], momentum: float = 0.9):
    """A model of one weight with 5 iterations an epoch, as a runner builds it."""
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=lr, momentum=momentum)
    schedulers = [
        LinearLR(optimizer, start_factor=0.1, begin=0, end=8, by_epoch=False),
        MultiStepLR(optimizer, milestones=milestones, by_epoch=True, end=20),
    ]
    loader = SimpleNamespace(batch_sampler=SimpleNamespace(batch_size=2))
    loader = type('Loader', (), dict(vars(loader), __len__=lambda self: 5))()
    return SimpleNamespace(
        optim_wrapper=OptimWrapper(optimizer),
        param_schedulers=schedulers,
        auto_scale_lr=None,
        train_dataloader=loader,
        world_size=1,
        weight=weight,
    )


def train(runner, iterations: int) -> None:
    optimizer = runner.optim_wrapper.optimizer
    for i in range(1, iterations + 1):
        runner.weight.grad = torch.ones(1)
        optimizer.step()
        runner.param_schedulers[0].step()
        if i % 5 == 0:
            runner.param_schedulers[1].step()


def state_of(runner, iterations: int) -> dict:
    return dict(
        optimizer=runner.optim_wrapper.state_dict(),
        param_schedulers=[x.state_dict() for x in runner.param_schedulers],
        loop=dict(iter=iterations, epoch=iterations // 5, samples=2),
    )


def resume(runner, state: dict) -> float:
    """The learning rate after the state is restored as a run does it."""
    runner.optim_wrapper.load_state_dict(state['optimizer'])
    for scheduler, saved in zip(runner.param_schedulers, state['param_schedulers']):
        scheduler.load_state_dict(saved)
    return runner.optim_wrapper.optimizer.param_groups[0]['lr']


def changed(key: str) -> list[Change]:
    return [Change(key, 0, 1, 'serious')]


@pytest.mark.parametrize('iterations', [3, 12, 27])
def test_the_new_rate_is_where_a_run_of_it_would_be(iterations):
    old, calm = runner_of(0.1, [4]), runner_of(0.02, [2, 5])
    train(old, iterations)
    train(calm, iterations)
    new, state = runner_of(0.02, [2, 5]), state_of(old, iterations)
    use_new_values(new, state, changed('optim_wrapper.optimizer.lr'))
    expected = calm.optim_wrapper.optimizer.param_groups[0]['lr']
    assert resume(new, state) == expected
    for runner in (new, calm):
        for _ in range(2):
            runner.param_schedulers[1].step()
    rates = [x.optim_wrapper.optimizer.param_groups[0]['lr'] for x in (new, calm)]
    assert rates[0] == rates[1]


def test_momenta_are_kept():
    old = runner_of(0.1, [4])
    train(old, 7)
    new, state = runner_of(0.02, [4], momentum=0.5), state_of(old, 7)
    use_new_values(new, state, changed('optim_wrapper.optimizer.momentum'))
    resume(new, state)
    optimizer = new.optim_wrapper.optimizer
    before = old.optim_wrapper.optimizer.state[old.weight]['momentum_buffer']
    assert torch.equal(optimizer.state[new.weight]['momentum_buffer'], before)
    assert optimizer.param_groups[0]['momentum'] == 0.5


def test_another_optimiser_starts_without_momenta():
    old = runner_of(0.1, [4])
    train(old, 7)
    new, state = runner_of(0.02, [4]), state_of(old, 7)
    use_new_values(new, state, changed('optim_wrapper.optimizer.type'))
    assert state['optimizer']['state'] == {}


def test_a_change_of_something_else_leaves_the_checkpoint_alone():
    old = runner_of(0.1, [4])
    train(old, 7)
    new, state = runner_of(0.02, [4]), state_of(old, 7)
    use_new_values(new, state, changed('model.loss.alpha'))
    assert resume(new, state) == old.optim_wrapper.optimizer.param_groups[0]['lr']
