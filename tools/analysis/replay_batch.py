"""Train once more on a batch whose step was not finite, and say what is wrong.

python tools/analysis/replay_batch.py work_dirs/NAME/bad_batches/iter_15_rank_0.pth
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

_MOST = 10  # parameters that are named
_KEYS = (
    *('iteration', 'rank', 'losses', 'batch', 'random'),
    *('weights', 'model', 'optim_wrapper'),
)
_PRECISION = {'Bfloat16OptimWrapper': 'bfloat16', 'AmpOptimWrapper': 'float16'}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Reproduce a step that was not finite: which term of the loss, '
        'which image, which parameter.'
    )
    parser.add_argument('file', help='bad_batches/iter_N_rank_R.pth of a work folder')
    parser.add_argument(
        'config', nargs='?', help='take the model of this config, not of the file'
    )
    return parser.parse_args()


def replay(file: str, config: str | None = None) -> bool:
    """Print what is not finite in the batch's step.

    The model and its weights come from the file and the one beside it, as data:
    nothing in them is run.

    Returns:
        Whether anything is not finite.
    """
    import torch
    from mmengine.device import get_device

    from freeanchor.engine.bad_batch import name_of

    content = _read_batch(Path(file))
    batch = content['batch']
    model = _model(file, content, config)
    _load(model, Path(file).with_name(content['weights']))
    model.to(device=get_device(), memory_format=torch.channels_last).train()
    print(f'iteration {content["iteration"]}, rank {content["rank"]}')
    print(f'then:      {_terms(content["losses"])}')
    found = _step(model, batch, content)
    if len(batch['inputs']) > 1:
        for i, sample in enumerate(batch['data_samples']):
            part = dict(inputs=batch['inputs'][i : i + 1], data_samples=[sample])
            print(f'\nimage {i} alone: {name_of(sample)}')
            found |= _step(model, part, content)
    print('\nReproduced.' if found else '\nAll is finite this time: not reproduced.')
    return found


def _step(model: Any, batch: dict[str, Any], content: dict[str, Any]) -> bool:
    """Forward and backward; print and return whether anything is not finite."""
    import torch

    from freeanchor.engine.random_state import set_random_state

    statistics = [(x, x.clone()) for x in model.buffers()]
    set_random_state(content['random'])
    model.zero_grad()
    # A copy of each sample: the preprocessor writes to it.
    batch = dict(batch, data_samples=[x.clone() for x in batch['data_samples']])
    with _autocast(content):
        data = model.data_preprocessor(batch, True)
        losses = model(**data, mode='loss')
    total, terms = model.parse_losses(losses)
    total.backward()
    print(f'now:       {_terms({k: float(x.detach()) for k, x in terms.items()})}')
    bad = [
        name
        for name, x in model.named_parameters()
        if x.grad is not None and not x.grad.isfinite().all()
    ]
    bad_inputs = not data['inputs'].isfinite().all()
    if bad_inputs:
        print('inputs:    not finite')
    count = sum(x.grad is not None for x in model.parameters())
    print(f'gradients: {len(bad)} of {count} are not finite')
    for name in bad[:_MOST]:
        print(f'           {name}')
    if len(bad) > _MOST:
        print(f'           and {len(bad) - _MOST} more')
    with torch.no_grad():
        for x, before in statistics:
            x.copy_(before)
    return bool(bad) or bad_inputs or not total.isfinite().item()


def _terms(losses: dict[str, float]) -> str:
    import math

    return ', '.join(
        f'{key} {value:.6g}' + ('' if math.isfinite(value) else ' (NOT FINITE)')
        for key, value in losses.items()
    )


def _read(path: Path) -> dict[str, Any]:
    """What is in a file, of which nothing is run.

    Raises:
        ConfigError: It is missing, damaged, or holds more than data.
    """
    from freeanchor.engine import ConfigError
    from freeanchor.engine.torch_files import read_torch_file

    try:
        content = read_torch_file(path)
    except FileNotFoundError:
        raise ConfigError(f'there is no file {path}.') from None
    except Exception as error:
        # Damaged files fail in as many ways as there are bytes.
        reason = str(error).partition('\n')[0][:200] or type(error).__name__
        raise ConfigError(f'{path} is no saved batch, or damaged: {reason}') from error
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise ConfigError(f'{path} is no saved batch: it holds a {kind}.')
    return content


def _read_batch(path: Path) -> dict[str, Any]:
    """The file of a batch, with what a replay needs.

    Raises:
        ConfigError: As for :func:`_read`; or something is not there.
    """
    from freeanchor.engine import ConfigError
    from freeanchor.engine.bad_batch import batch_of

    content = _read(path)
    lacking = [key for key in _KEYS if key not in content]
    if lacking:
        raise ConfigError(f'{path} is no saved batch: it lacks {", ".join(lacking)}.')
    weights = content['weights']
    if not isinstance(weights, str) or Path(weights).name != weights:
        raise ConfigError(f'{path} names weights that are not beside it: {weights!r}')
    try:
        return {**content, 'batch': batch_of(content['batch'])}
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ConfigError(f'{path} holds no batch of images: {error!r}') from error


def _load(model: Any, path: Path) -> None:
    from freeanchor.engine import ConfigError

    try:
        model.load_state_dict(_read(path), strict=True)
    except RuntimeError as error:
        reason = ' '.join(str(error).split())[:200]
        raise ConfigError(f'{path} does not fit the model: {reason}') from error


def _model(file: str, content: dict[str, Any], config: str | None) -> Any:
    from mmengine.registry import DefaultScope

    from freeanchor.engine import ConfigError, load_config
    from freeanchor.engine.bad_batch import plain_config
    from freeanchor.registry import MODELS, SCOPE

    # Loading a config also imports what it names.
    model = plain_config(load_config(config).model if config else content['model'])
    unsafe = [] if config else [x for x in _types(model) if '.' in x]
    if model is None or unsafe:
        reason = f'would run {unsafe[0]}' if unsafe else 'has no model'
        raise ConfigError(f'{file} {reason}: name a config that you trust as well.')
    with DefaultScope.overwrite_default_scope(SCOPE):
        try:
            return MODELS.build(model)
        except KeyError as error:
            reason = ' '.join(str(error.args[0]).split())
            raise ConfigError(
                f'{file}: {reason}: name the config, which imports it.'
            ) from error


def _types(value: Any) -> Iterator[str]:
    """All names in a config that stand for something to call."""
    if isinstance(value, dict):
        if 'type' in value:
            yield str(value['type'])
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _types(item)


def _autocast(content: dict[str, Any]) -> AbstractContextManager:
    import torch
    from mmengine.device import get_device

    dtype = _PRECISION.get(content['optim_wrapper'])
    if dtype is None:
        return nullcontext()
    return torch.autocast(get_device(), getattr(torch, dtype))


def main() -> int:
    args = parse_args()
    # After the arguments: --help need not wait for torch.
    from freeanchor.engine.command_line import run_tool

    return run_tool(lambda: replay(args.file, args.config))


if __name__ == '__main__':
    sys.exit(main())
