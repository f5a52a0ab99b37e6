"""A step that is not finite leaves no trace."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from mmengine import optim
from torch import Tensor, nn

from freeanchor.engine import OptimWrapper
from freeanchor.engine.finite_step import one_if_finite, skips_on_device
from tests.processes import run_on_processes

OPTIMIZERS: dict[str, Any] = {
    'SGD': lambda p, **kw: torch.optim.SGD(
        p, 0.1, momentum=0.9, weight_decay=0.01, **kw
    ),
    'SGD with dampening': lambda p, **kw: torch.optim.SGD(
        p, 0.1, momentum=0.9, dampening=0.5, **kw
    ),
    'Adam': lambda p, **kw: torch.optim.Adam(p, 0.1, weight_decay=0.01, **kw),
    'AdamW': lambda p, **kw: torch.optim.AdamW(p, 0.1, amsgrad=True, **kw),
}
INPUT = torch.linspace(-1, 1, 12).view(4, 3)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))


def good(model: nn.Module) -> Tensor:
    return model(INPUT).square().mean()


def nan_gradient(model: nn.Module) -> Tensor:
    """A finite loss: the square root's slope at zero is infinite, times zero."""
    return good(model) + (good(model) * 0).sqrt()


FAULTS: dict[str, Any] = {
    'infinite loss': lambda model: good(model) + torch.inf,
    'no number': lambda model: good(model) * torch.nan,
    'gradient alone': nan_gradient,
}


def state_of(model: nn.Module, wrapper: OptimWrapper) -> list[Tensor]:
    state = list(wrapper.optimizer.state.values())
    tensors = [t for x in state for t in x.values() if isinstance(t, Tensor)]
    return [x.detach().clone() for x in [*model.parameters(), *tensors]]


@pytest.mark.parametrize('fused', [True, False])
@pytest.mark.parametrize('kind', OPTIMIZERS)
@pytest.mark.parametrize('fault', FAULTS)
def test_a_bad_step_changes_nothing(fault: str, kind: str, fused: bool) -> None:
    model = network()
    wrapper = OptimWrapper(OPTIMIZERS[kind](model.parameters(), fused=fused))
    wrapper.update_params(good(model))
    assert wrapper.take_verdict() == 0
    before = state_of(model, wrapper)
    wrapper.update_params(FAULTS[fault](model))
    assert wrapper.take_verdict() == 1
    after = state_of(model, wrapper)
    assert len(after) == len(before)
    assert all(map(torch.equal, after, before))
    wrapper.update_params(good(model))
    assert not torch.equal(next(model.parameters()), before[0])


@pytest.mark.parametrize('fused', [True, False])
@pytest.mark.parametrize('kind', OPTIMIZERS)
def test_training_goes_on_as_if_a_first_bad_step_had_not_been(
    kind: str, fused: bool
) -> None:
    models = network(), network()
    for model, is_hit in zip(models, (True, False)):
        wrapper = OptimWrapper(OPTIMIZERS[kind](model.parameters(), fused=fused))
        if is_hit:
            wrapper.update_params(nan_gradient(model))
        for _ in range(3):
            wrapper.update_params(good(model))
    assert all(map(torch.equal, *(list(m.parameters()) for m in models)))


@pytest.mark.parametrize(
    'clip',
    [None, dict(max_norm=1.0), dict(type='value', clip_value=0.1)],
    ids=['not clipped', 'by norm', 'by value'],
)
def test_an_infinite_gradient_is_found_before_it_is_clipped(clip: dict | None) -> None:
    model = network()
    optimizer = OPTIMIZERS['SGD'](model.parameters(), fused=True)
    wrapper = OptimWrapper(optimizer, clip_grad=clip)
    before = deepcopy(model.state_dict())
    wrapper.update_params(good(model) * 1e30 * 1e30)
    assert wrapper.take_verdict() == 1
    assert all(torch.equal(x, before[k]) for k, x in model.state_dict().items())


def test_one_bad_batch_spoils_the_step_that_it_is_accumulated_for() -> None:
    model = network()
    optimizer = OPTIMIZERS['SGD'](model.parameters(), fused=True)
    wrapper = OptimWrapper(optimizer, accumulative_counts=3)
    before = deepcopy(model.state_dict())
    for loss in (good, FAULTS['infinite loss'], good):
        assert wrapper.take_verdict() is None
        wrapper.update_params(loss(model))
    assert wrapper.take_verdict() == 1
    assert all(torch.equal(x, before[k]) for k, x in model.state_dict().items())
    for _ in range(3):
        wrapper.update_params(good(model))
    assert wrapper.take_verdict() == 0


def test_judging_a_step_does_not_change_it() -> None:
    ours, theirs = network(), network()
    mine = OptimWrapper(OPTIMIZERS['SGD'](ours.parameters(), fused=False))
    other = optim.OptimWrapper(OPTIMIZERS['SGD'](theirs.parameters(), fused=False))
    for _ in range(3):
        mine.update_params(good(ours))
        other.update_params(good(theirs))
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


def test_running_statistics_are_put_back() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    wrapper = OptimWrapper(OPTIMIZERS['SGD'](model.parameters(), fused=True))
    for value, verdict in ((1.0, 0), (torch.nan, 1), (1.0, 0)):
        before = deepcopy(dict(model.named_buffers()))
        with wrapper.optim_context(model):
            loss = model(INPUT * value).square().mean()
        wrapper.update_params(loss)
        assert wrapper.take_verdict() == verdict
        same = [torch.equal(x, before[k]) for k, x in model.named_buffers()]
        assert same == [bool(verdict)] * 3


def test_only_finite_losses_have_a_finite_slope() -> None:
    for value in (0.0, -3.5, 1e38):
        assert one_if_finite(torch.tensor(value)) == 1
    for value in (torch.inf, -torch.inf, torch.nan):
        assert one_if_finite(torch.tensor(value)).isnan()


def test_a_fused_optimiser_is_not_waited_for() -> None:
    parameters = list(network().parameters())
    assert skips_on_device(OPTIMIZERS['SGD'](parameters, fused=True))
    assert skips_on_device(OPTIMIZERS['AdamW'](parameters, fused=True))
    assert not skips_on_device(OPTIMIZERS['SGD'](parameters, fused=False))
    # Its momentum would be read before it is written.
    assert not skips_on_device(OPTIMIZERS['SGD with dampening'](parameters, fused=True))


def _train(rank: int, processes: int) -> tuple[list[float], list[Tensor]]:
    model = nn.parallel.DistributedDataParallel(network())
    optimizer = OPTIMIZERS['SGD'](model.parameters(), fused=True)
    wrapper = OptimWrapper(optimizer, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 6)
    verdicts = []
    for step in range(6):
        with wrapper.optim_context(model):
            loss = model(INPUT + rank).square().mean()
            if rank == 1 and step == 2:  # not the iteration of the exchange
                loss = loss + torch.inf
        wrapper.update_params(loss)
        verdict = wrapper.take_verdict()
        verdicts += [] if verdict is None else [float(verdict)]
    return verdicts, [x.detach().clone() for x in model.parameters()]


def test_an_infinite_loss_in_one_process_makes_all_skip() -> None:
    (verdicts, weights), (others, other_weights) = run_on_processes(_train, 2)
    assert verdicts == others == [0, 1, 0]
    assert all(map(torch.equal, weights, other_weights))
    assert all(x.isfinite().all() for x in weights)
