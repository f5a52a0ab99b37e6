"""A training batch as plain data, with all that is needed to train on it again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor

from .durable import write_atomically
from .plain import to_plain

FOLDER = 'bad_batches'
"""Where the batches are, inside the work folder."""
_KINDS = {'BaseDataElement': BaseDataElement, 'InstanceData': InstanceData}
_KIND = 'element'
_SHOWN = 20  # annotations of an image


def save_weights(runner: Runner, iteration: int) -> str:
    """Write the model's weights beside the batches; their file's name.

    All processes call it; the first writes, as the weights are those of all.

    Raises:
        OSError: The file cannot be written, as on a full disk.
    """
    folder = Path(runner.work_dir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    name = f'iter_{iteration}_weights.pth'
    if runner.rank == 0:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        state = {key: x.detach().cpu() for key, x in model.state_dict().items()}
        write_atomically(folder / name, lambda file: torch.save(state, file))
    return name


def save_bad_batch(
    runner: Runner,
    iteration: int,
    batch: Any,
    losses: dict[str, float],
    random: dict[str, Any],
    weights: str,
) -> Path:
    """Write a batch.

    Args:
        runner: Of the training.
        iteration: From 1.
        batch: What the data loader gave; images may be on a GPU.
        losses: The terms by name.
        random: State of the random generators before the step.
        weights: Name of the file of :func:`save_weights`.

    Returns:
        The file, ``bad_batches/iter_N_rank_R.pth`` in the work folder.

    Raises:
        OSError: The file cannot be written, as on a full disk.
    """
    content = dict(
        iteration=iteration,
        rank=runner.rank,
        processes=runner.world_size,
        losses=losses,
        batch=plain_batch(batch),
        random=to_plain(random),
        weights=weights,
        model=plain_config(runner.cfg.get('model')),
        optim_wrapper=type(runner.optim_wrapper).__name__,
        config=runner.cfg.pretty_text,
    )
    path = Path(runner.work_dir) / FOLDER / f'iter_{iteration}_rank_{runner.rank}.pth'
    write_atomically(path, lambda file: torch.save(content, file))
    return path


def plain_batch(value: Any) -> Any:
    """A batch as tensors on the CPU, numbers, strings, lists and dicts.

    Data elements become dicts that :func:`batch_of` knows again; what is
    neither is written as text, because no file may need code to be read.
    """
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, BaseDataElement):
        kind = 'InstanceData' if isinstance(value, InstanceData) else 'BaseDataElement'
        return {
            _KIND: kind,
            'metainfo': plain_batch(dict(value.metainfo_items())),
            'data': plain_batch(dict(value.items())),
        }
    if isinstance(value, Mapping):
        return {str(key): plain_batch(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        items = [plain_batch(x) for x in value]
        return items if isinstance(value, list) else tuple(items)
    try:
        return to_plain(value)
    except TypeError:
        return repr(value)


def batch_of(value: Any) -> Any:
    """The inverse of :func:`plain_batch`."""
    if isinstance(value, dict):
        if value.get(_KIND) in _KINDS:
            element = _KINDS[value[_KIND]](metainfo=batch_of(value['metainfo']))
            for key, x in value['data'].items():
                element.set_data(batch_of({key: x}))
            return element
        return {key: batch_of(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(batch_of(x) for x in value)
    return value


def plain_config(value: Any) -> Any:
    """A part of a config as dicts and lists, without what loads weights."""
    if isinstance(value, Mapping):
        return {str(k): plain_config(x) for k, x in value.items() if k != 'init_cfg'}
    if isinstance(value, list | tuple):
        items = [plain_config(x) for x in value]
        return items if isinstance(value, list) else tuple(items)
    return plain_batch(value)


def names_of(batch: Any) -> str:
    """The images of a batch and their annotations, as far as they are known."""
    samples = batch.get('data_samples') if isinstance(batch, Mapping) else None
    return '; '.join(map(name_of, samples or [])) or 'of unknown name'


def name_of(sample: BaseDataElement) -> str:
    """``PATH (id 3, annotations 7, 9)`` of one image."""
    about = [f'id {sample.get("img_id")}']
    truth = sample.get('gt_instances', {})
    ids = truth.get('ann_ids')
    if ids is not None and len(ids):
        numbers = ids.tolist() if isinstance(ids, Tensor) else list(ids)
        more = len(numbers) - _SHOWN
        shown = ', '.join(map(str, numbers[:_SHOWN]))
        about.append(f'annotations {shown}' + (f' and {more} more' * (more > 0)))
    return f'{sample.get("img_path") or "image"} ({", ".join(about)})'
