"""Make a config train on a data set of one's own."""

import copy
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .batch import StepBatch
from .config_options import parse_options
from .naming import ConfigError

_LONG_WARM_UP = 0.25  # of a training


@dataclass(frozen=True)
class OwnSplit:
    """Where a split is: an annotation file of COCO's format, and its images."""

    ann_file: str
    folder: str
    num_images: int


def changes_for(
    cfg: Config, classes: tuple[str, ...], splits: Mapping[str, OwnSplit]
) -> dict[str, Any]:
    """What a config says of its data, for other data.

    Args:
        cfg: The whole config.
        classes: Names in the order of their labels.
        splits: ``train`` and ``val``, perhaps ``test``, which ``val`` stands in for.

    Returns:
        Keys and values that are merged into ``cfg``, as those of a config are
        merged into its base.

    Raises:
        ConfigError: The config's data set is one that joins others, or its model
            has no head that counts classes.
    """
    changes: dict[str, Any] = {}
    parts = dict(train=splits['train'], val=splits['val'])
    parts['test'] = splits.get('test', splits['val'])
    for name, split in parts.items():
        key = f'{name}_dataloader'
        if cfg.get(key):
            node = cfg[key]['dataset']
            changes[key] = dict(dataset=_dataset(node, classes, split, key))
        key = f'{name}_evaluator'
        if cfg.get(key):
            changes[key] = _evaluator(cfg[key], split.ann_file)
    changes['model'] = _model(cfg.get('model') or {}, len(classes))
    if (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
        changes['auto_scale_lr'] = dict(enable=True)
    return changes


def merge_changes(cfg: Config, changes: dict[str, Any]) -> None:
    """Merge what :func:`changes_for` returned into ``cfg``, in place."""
    # Copied: MMEngine takes _delete_ out of what it merges.
    cfg.merge_from_dict(copy.deepcopy(changes))


def with_options(
    cfg: Config, options: Sequence[str], changes: dict[str, Any]
) -> dict[str, Any]:
    """The changes, and below them what ``--cfg-options`` have set in ``cfg``.

    A list in which an option has set something is there whole: a config replaces
    the lists of its base.

    Args:
        cfg: The config with the options in it.
        options: ``KEY=VALUE``, as after ``--cfg-options``.
        changes: Of :func:`changes_for`; they outdo the options.
    """
    found: dict[str, Any] = {}
    for key, value in parse_options(options).items():
        node: Any = cfg
        path: list[str] = []
        for part in key.split('.'):
            if isinstance(node, list | tuple):
                value = _plain(node)
                break
            path.append(part)
            node = node[part]
        for part in reversed(path):
            value = {part: value}
        found = _merged(found, value)
    return _merged(found, changes)


def relative_base(config: str, folder: str | Path) -> str:
    """The config as a config in ``folder`` names it."""
    return os.path.relpath(config, folder).replace(os.sep, '/')


def long_warm_up(cfg: Config, num_images: int, processes: int) -> str:
    """A sentence where the warm-up takes much of a training on so few images."""
    epochs = cfg.train_cfg.get('max_epochs')
    batch = StepBatch.of(cfg, processes)
    steps = epochs and epochs * math.ceil(num_images / (batch.images * processes))
    for place, scheduler in enumerate(cfg.get('param_scheduler') or ()):
        end = scheduler.get('end', 0)
        counted = scheduler['type'] == 'LinearLR' and not scheduler.get('by_epoch')
        if steps and counted and end > _LONG_WARM_UP * steps:
            shorter = f'param_scheduler.{place}.end={max(1, steps // 10)}'
            return (
                f'the warm-up takes {end} of the {steps} steps of this training: '
                f'perhaps --cfg-options {shorter}'
            )
    return ''


def _dataset(
    node: Any, classes: tuple[str, ...], split: OwnSplit, where: str
) -> dict[str, Any]:
    if 'datasets' in node:
        raise ConfigError(
            f'{where}.dataset joins several data sets ({node.get("type")}), and --data '
            'is one: give a config that has one, or write the paths into yours'
        )
    if 'dataset' in node:  # one that repeats or balances another
        return dict(dataset=_dataset(node['dataset'], classes, split, where))
    files = dict(
        data_root='',
        ann_file=split.ann_file,
        data_prefix=dict(img_path=split.folder),
        metainfo=dict(classes=classes),
    )
    if node.get('type') == 'CocoDataset':
        return files
    kept = ('pipeline', 'test_mode', 'filter_cfg')
    own = {key: _plain(node[key]) for key in kept if key in node}
    return dict(_delete_=True, type='CocoDataset', **files, **own)


def _evaluator(node: Any, ann_file: str) -> Any:
    if isinstance(node, list | tuple):
        return [{**_plain(x), **_evaluator(x, ann_file)} for x in node]
    return dict(ann_file=ann_file) if 'ann_file' in node else {}


def _model(model: Any, num_classes: int) -> dict[str, Any]:
    parts = {
        name: dict(num_classes=num_classes)
        for name in ('bbox_head', 'loss')
        if 'num_classes' in (model.get(name) or {})
    }
    if 'bbox_head' not in parts:
        raise ConfigError('--data: model.bbox_head of the config has no num_classes')
    return parts


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """One config that does what two do, the second merged after the first."""
    merged = dict(first)
    for key, value in second.items():
        own: Any = merged.get(key)
        both = isinstance(value, dict) and isinstance(own, dict)
        if both and not value.get('_delete_'):
            merged[key] = _merged(own, value)
        else:
            merged[key] = value
    return merged


def _plain(value: Any) -> Any:
    """Dicts and lists of Python for those of MMEngine."""
    if isinstance(value, dict):
        return {key: _plain(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    return value
