from copy import deepcopy
from typing import Any

import pytest
import torch
from mmengine import optim
from torch import nn

from freeanchor.engine import OptimWrapper
from freeanchor.engine.optim import match_layout, prefer_fused


def network() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))
    return model.to(memory_format=torch.channels_last)


def steps(wrapper: optim.OptimWrapper, model: nn.Module, count: int = 3) -> None:
    images = torch.linspace(-1, 1, 3 * 8 * 8).view(1, 3, 8, 8)
    for _ in range(count):
        wrapper.update_params(model(images).square().sum())


def sgd(model: nn.Module, **settings: Any) -> torch.optim.SGD:
    return torch.optim.SGD(
        model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-2, **settings
    )


def test_fused_and_clipped_steps_are_mmengines() -> None:
    ours, theirs = network(), network()
    clip = dict(max_norm=0.1)
    steps(OptimWrapper(sgd(ours, fused=True), clip_grad=dict(clip)), ours)
    steps(optim.OptimWrapper(sgd(theirs), clip_grad=dict(clip)), theirs)
    for found, expected in zip(ours.parameters(), theirs.parameters()):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_a_parameter_may_get_its_first_gradient_late() -> None:
    ours, theirs = network(), network()
    for model, wrapper in (
        (ours, OptimWrapper(sgd(ours, fused=True))),
        (theirs, optim.OptimWrapper(sgd(theirs))),
    ):
        model[2].requires_grad_(False)
        steps(wrapper, model, 2)
        model[2].requires_grad_(True)
        steps(wrapper, model, 2)
    for found, expected in zip(ours.parameters(), theirs.parameters()):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize('kind', [torch.optim.SGD, torch.optim.AdamW])
def test_a_checkpoint_does_not_choose_the_form_of_the_step(kind: type) -> None:
    model = network()
    extra = dict(momentum=0.9) if kind is torch.optim.SGD else {}
    plain = OptimWrapper(kind(model.parameters(), lr=0.01, foreach=True, **extra))
    steps(plain, model)
    ours = OptimWrapper(kind(model.parameters(), lr=0.5, fused=True, **extra))
    ours.load_state_dict(deepcopy(plain.state_dict()))
    (group,) = ours.param_groups
    assert group['fused']
    assert not group['foreach']
    assert group['lr'] == 0.01
    steps(ours, model)


def test_float16_with_its_scaler_is_not_fused() -> None:
    config = dict(type='AmpOptimWrapper', optimizer=dict(type='SGD', lr=0.1))
    assert prefer_fused(config, 'cuda') is config


def test_clipping_by_value_has_no_norm_to_log() -> None:
    model = network()
    wrapper = OptimWrapper(sgd(model), clip_grad=dict(type='value', clip_value=1e-3))
    steps(wrapper, model, 1)
    assert 'train/grad_value' not in wrapper.message_hub.log_scalars


def test_a_checkpoint_of_another_memory_format_is_taken_over() -> None:
    model = network()
    source = OptimWrapper(sgd(model, fused=True))
    steps(source, model)
    state = deepcopy(source.state_dict())
    for entry in state['state'].values():
        entry['momentum_buffer'] = entry['momentum_buffer'].contiguous()
    target = OptimWrapper(sgd(model, fused=True))
    target.load_state_dict(deepcopy(state))
    for index, parameter in enumerate(model.parameters()):
        momentum = target.optimizer.state[parameter]['momentum_buffer']
        assert momentum.stride() == parameter.stride()
        assert torch.equal(momentum, state['state'][index]['momentum_buffer'])


def test_state_that_is_no_map_of_a_parameter_is_left_alone() -> None:
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    steps(optim.OptimWrapper(optimizer), model, 2)
    match_layout(optimizer)
    assert all(state['step'] == 2 for state in optimizer.state.values())


def test_an_optimiser_is_fused_where_it_can_be() -> None:
    config = dict(optimizer=dict(type='SGD', lr=0.1), clip_grad=None)
    assert prefer_fused(config, 'cuda')['optimizer']['fused']
    assert 'fused' not in config['optimizer']


@pytest.mark.parametrize(
    ('optimizer', 'device'),
    [
        (dict(type='SGD', lr=0.1, foreach=True), 'cuda'),
        (dict(type='SGD', lr=0.1, fused=False), 'cpu'),
        (dict(type='LBFGS'), 'cuda'),
        (dict(type='SGD', lr=0.1), 'npu'),
    ],
)
def test_what_the_config_says_is_kept(optimizer: dict, device: str) -> None:
    config = dict(optimizer=optimizer)
    assert prefer_fused(config, device) == dict(optimizer=optimizer)


def test_an_optimiser_that_is_built_is_kept() -> None:
    wrapper = OptimWrapper(sgd(network()))
    assert prefer_fused(wrapper, 'cuda') is wrapper
