"""Everything that a run needs to go on as if it had never stopped."""

import platform
import time
from typing import Any

import mmengine
import numpy as np
import torch
from mmengine import dist
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn

from freeanchor import __version__

from .loops import order_seed, samples_of
from .naming import ConfigError
from .plain import from_plain, to_plain
from .random_state import random_state
from .whole_weights import differences_of_weights


def take_snapshot(runner: Runner) -> dict[str, Any]:
    """The state of a run between two steps, as plain data.

    All processes call it together, and process 0 gets the state: ``meta``,
    ``state_dict`` (of the averaged weights, where there are such),
    ``optimizer``, ``param_schedulers``, ``message_hub``, what hooks add in
    ``before_save_checkpoint``, ``hooks`` (of those with a ``state_dict``),
    ``loop`` (the place in the data) and ``ranks`` (what differs by process:
    random generators, running statistics, gradients that are accumulated).

    Returns:
        Tensors on the CPU are the run's own: write them before the next step.
        The other processes get an empty dict.
    """
    ranks = dist.gather_object(_of_this_process(runner))
    if not dist.is_main_process():
        return {}
    state = dict(
        meta=_meta(runner),
        state_dict=on_cpu(_network(runner).state_dict()),
        optimizer=on_cpu(runner.optim_wrapper.state_dict()),
        message_hub=_message_hub(runner),
        param_schedulers=_map_schedulers(runner, lambda x: x.state_dict()),
        hooks={name: x.state_dict() for name, x in _with_memory(runner)},
        loop=runner.train_loop.state_dict(),
        ranks=ranks,
    )
    runner.call_hook('before_save_checkpoint', checkpoint=state)
    # Hooks add tensors of the device, such as averaged weights.
    added = set(state) - set(_OURS)
    state.update({key: on_cpu(state[key]) for key in added})
    return {key: to_plain(value, key) for key, value in state.items()}


def restore_snapshot(runner: Any, state: dict[str, Any], source: str) -> None:
    """Put a run where :func:`take_snapshot` was called.

    A checkpoint of MMEngine's own runner is taken too, as far as it goes.

    Args:
        runner: Its model, optimiser, schedulers and loop are built.
        state: Changed in place.
        source: Name of the file, for messages.

    Raises:
        ConfigError: The weights do not fit the model of the config.
    """
    state.update(from_plain({key: state[key] for key in _PLAIN if key in state}))
    runner.call_hook('after_load_checkpoint', checkpoint=state)
    _load_weights(_network(runner), state['state_dict'], source)
    runner.message_hub.load_state_dict(state['message_hub'])
    if 'optimizer' in state:
        runner.optim_wrapper.load_state_dict(state['optimizer'])
    _load_schedulers(runner, state.get('param_schedulers'))
    saved = state.get('hooks', {})
    for name, hook in _with_memory(runner):
        if name in saved:
            hook.load_state_dict(saved[name])
    meta = state['meta']
    loop = state.get('loop') or _loop_of_mmengine(meta, runner)
    runner.train_loop.load_state_dict(loop)
    ranks = state.get('ranks', [])
    if len(ranks) == runner.world_size:
        _load_of_process(runner, ranks[runner.rank])


_PLAIN = ('meta', 'message_hub', 'hooks', 'ranks')
_OURS = (*_PLAIN, 'state_dict', 'optimizer', 'param_schedulers', 'loop')


def surroundings() -> dict[str, Any]:
    """What results depend on besides config and data, down to the last bit."""
    return dict(
        freeanchor=__version__,
        torch=str(torch.__version__),
        numpy=np.__version__,
        mmengine=mmengine.__version__,
        machine=platform.machine(),
        threads=torch.get_num_threads(),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu',
    )


def on_cpu(value: Any) -> Any:
    """``value`` with its tensors on the CPU; those that are there are not copied."""
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        moved = type(value)((key, on_cpu(x)) for key, x in value.items())
        if hasattr(value, '_metadata'):  # versions of the modules of a state dict
            moved._metadata = value._metadata  # type: ignore[attr-defined]
        return moved
    if isinstance(value, list | tuple):
        return type(value)(on_cpu(x) for x in value)
    return value


def _meta(runner: Any) -> dict[str, Any]:
    meta = dict(
        epoch=runner.epoch,
        iter=runner.iter,
        cfg=runner.cfg.pretty_text,
        seed=order_seed(runner),
        world_size=runner.world_size,
        num_images=len(runner.train_dataloader.dataset),
        experiment_name=runner.experiment_name,
        time=time.strftime('%Y%m%d_%H%M%S', time.localtime()),
        mmengine_version=mmengine.__version__,
        surroundings=surroundings(),
    )
    dataset = runner.train_dataloader.dataset
    if hasattr(dataset, 'metainfo'):
        meta['dataset_meta'] = dataset.metainfo
    return meta


def _message_hub(runner: Any) -> dict[str, Any]:
    state = runner.message_hub.state_dict()
    # MMEngine notes them before an iteration, and again when a run begins.
    state['runtime_info'].update(epoch=runner.epoch, iter=runner.iter)
    return state


def _of_this_process(runner: Any) -> dict[str, Any]:
    network = _network(runner)
    position = getattr(runner.train_loop, 'position', None)
    before = getattr(position, 'before_validation', None)
    state: dict[str, Any] = dict(random=before or random_state())
    if runner.rank > 0:  # those of process 0 are in the weights
        state['buffers'] = on_cpu(dict(network.named_buffers()))
    if _is_accumulating(runner.optim_wrapper):
        state['gradients'] = {
            name: x.grad.detach().cpu()
            for name, x in network.named_parameters()
            if x.grad is not None
        }
    return state


def _load_of_process(runner: Any, state: dict[str, Any]) -> None:
    network = _network(runner)
    buffers = dict(network.named_buffers())
    for name, value in state.get('buffers', {}).items():
        buffers[name].copy_(value)
    parameters = dict(network.named_parameters())
    for name, gradient in state.get('gradients', {}).items():
        parameter = parameters[name]
        parameter.grad = torch.empty_like(parameter).copy_(gradient)
    if hasattr(runner.train_loop, 'position'):
        runner.train_loop.position.random = state['random']


def _is_accumulating(wrapper: Any) -> bool:
    several = isinstance(wrapper, OptimWrapperDict)
    wrappers = list(wrapper.values()) if several else [wrapper]
    return any(x._inner_count and not x.should_update() for x in wrappers)


def _network(runner: Any) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _with_memory(runner: Any) -> list[tuple[str, Any]]:
    """Hooks that have a state, each with a name of its own."""
    found: dict[str, Any] = {}
    for hook in runner.hooks:
        if hasattr(hook, 'state_dict') and hasattr(hook, 'load_state_dict'):
            name, count = type(hook).__name__, 1
            while name in found:
                count += 1
                name = f'{type(hook).__name__}_{count}'
            found[name] = hook
    return list(found.items())


def _map_schedulers(runner: Any, function: Any) -> Any:
    schedulers = runner.param_schedulers or []
    if isinstance(schedulers, dict):
        return {key: [function(x) for x in group] for key, group in schedulers.items()}
    return [function(x) for x in schedulers]


def _load_schedulers(runner: Any, states: Any) -> None:
    if not states:
        return
    schedulers = runner.param_schedulers or []
    keyed = schedulers if isinstance(schedulers, dict) else {'': schedulers}
    saved = states if isinstance(states, dict) else {'': states}
    for key, group in keyed.items():
        for scheduler, state in zip(group, saved.get(key, [])):
            scheduler.load_state_dict(state)


def _load_weights(network: nn.Module, weights: dict[str, Tensor], source: str) -> None:
    differences = differences_of_weights(network.state_dict(), weights)
    if differences:
        raise ConfigError(
            f'{source} is not of the model of this config: it {differences}. '
            'Resume with the config of that run, or take what fits of the weights for '
            'a new one: load_from'
        )
    network.load_state_dict(weights)


def _loop_of_mmengine(meta: dict[str, Any], runner: Any) -> dict[str, Any]:
    """The place that a checkpoint of MMEngine's runner knows: epoch or iteration."""
    runner.logger.warning(
        'The checkpoint is of another program, which saves neither the place in the '
        'data nor random generators: the run goes on, but not bit for bit.'
    )
    return dict(
        epoch=meta['epoch'],
        iter=meta['iter'],
        stop_training=False,
        samples=samples_of(runner),
        batch=0,
        passes=0,
        validation_due=False,
    )
