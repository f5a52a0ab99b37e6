"""Compare the config of a checkpoint with the one it is to go on with."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from .batch import StepBatch
from .config_kinds import is_open_ended, kind_of
from .config_text import parse_config_text
from .naming import ConfigError

ACCEPT_FLAG = '--accept-config-changes'
PROCESSES = 'processes'
"""The key of a change that is none of the config."""

# Of these only the product counts: images of one step of the optimiser.
_STEP_KEYS = ('train_dataloader.batch_size', 'optim_wrapper.accumulative_counts')
_LENGTH_KEYS = ('train_cfg.max_epochs', 'train_cfg.max_iters')
_LONGEST = 100  # characters of a value in a message


class _Missing:
    def __repr__(self) -> str:
        return '(not set)'


MISSING = _Missing()


@dataclass(frozen=True)
class Change:
    """A key whose value differs between two configs.

    Attributes:
        key: Its place in the config, with dots.
        old: Its value in the checkpoint's config; ``MISSING`` if it has none.
        new: Its value now; ``MISSING`` if it has none.
        kind: ``'harmless'``, ``'inexact'`` (training goes on as well, but not
            bit for bit) or ``'serious'`` (it is another training).
    """

    key: str
    old: Any
    new: Any
    kind: str

    def __str__(self) -> str:
        return f'{self.key}: {_short(self.old)} -> {_short(self.new)}'


def check_config_changes(
    meta: Mapping[str, Any],
    cfg: Mapping[str, Any] | Config,
    accept: bool,
    world_size: int | None = None,
    num_images: int | None = None,
) -> list[Change]:
    """Compare a checkpoint's config with ``cfg``, log what differs.

    Args:
        meta: The checkpoint's ``meta``. Its ``cfg`` is the text of the config;
            ``world_size`` and ``num_images`` are compared where they are there.
        cfg: The config to go on with.
        accept: Whether to go on with another training, using the new values.
        world_size: The number of processes now.
        num_images: Images of the training set now.

    Returns:
        The changes, in the order of the keys.

    Raises:
        ConfigError: Something differs that makes it another training.
    """
    old_size = meta.get('world_size', world_size)
    changes = []
    if old_size != world_size:
        changes.append(Change(PROCESSES, old_size, world_size, 'inexact'))
    old_images = meta.get('num_images', num_images)
    if old_images != num_images:
        changes.append(Change('training images', old_images, num_images, 'serious'))
    old = _config_of(meta)
    if old is not None:
        changes += compare(old, cfg, old_size or 1, world_size or 1)
    _report(changes, accept)
    return changes


def compare(
    old: Mapping[str, Any],
    new: Mapping[str, Any] | Config,
    old_size: int = 1,
    new_size: int = 1,
) -> list[Change]:
    """What differs between two configs.

    Args:
        old: A config as dicts, lists and plain values.
        new: The config it is compared with.
        old_size: Processes that ran the old config.
        new_size: Processes that run the new one.
    """
    if isinstance(new, Config):
        new = new.to_dict()
    before, after = dict(_leaves(old)), dict(_leaves(new))
    same_step = _images(old, old_size) == _images(new, new_size)
    changes = []
    for key in [*before, *(x for x in after if x not in before)]:
        values = before.get(key, MISSING), after.get(key, MISSING)
        if values[0] is MISSING or values[1] is MISSING or values[0] != values[1]:
            kind = kind_of(key, *values)
            if key in _STEP_KEYS and same_step:
                kind = 'inexact'
            elif key in _LENGTH_KEYS and is_open_ended(new):
                kind = 'harmless'
            changes.append(Change(key, *values, kind))
    return changes


def _config_of(meta: Mapping[str, Any]) -> dict | None:
    if not meta.get('cfg'):
        _warn('The checkpoint has no config: whether it has changed is not known.')
        return None
    try:
        return parse_config_text(meta['cfg'])
    except ValueError as error:
        _warn(f"The checkpoint's config cannot be read, so not compared: {error}")
        return None


def _leaves(value: Any, key: str = '') -> Iterator[tuple[str, Any]]:
    """The values at the ends of a config, lists of plain values as one."""
    if isinstance(value, Mapping) and (value or not key):
        for name, item in value.items():
            yield from _leaves(item, f'{key}.{name}' if key else str(name))
    elif isinstance(value, list | tuple) and _holds_dict(value):
        for i, item in enumerate(value):
            yield from _leaves(item, f'{key}.{i}')
    else:
        yield key, _plain(value)


def _holds_dict(value: list | tuple) -> bool:
    return any(isinstance(x, Mapping) for x in value)


def _plain(value: Any) -> Any:
    """Tuples as lists, as far down as they go."""
    if isinstance(value, list | tuple):
        return [_plain(x) for x in value]
    return dict(value) if isinstance(value, Mapping) else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + '...'


def _images(cfg: Mapping[str, Any], processes: int) -> int | None:
    try:
        return StepBatch.of(cfg, processes).total
    except (AttributeError, KeyError, TypeError):
        return None  # no training in it, or several optimisers


def _report(changes: list[Change], accept: bool) -> None:
    by_kind: dict[str, list[str]] = {}
    for change in changes:
        if change.key == PROCESSES:
            continue  # it is said with the other surroundings
        by_kind.setdefault(change.kind, []).append(str(change))
    if 'harmless' in by_kind:
        _log('Changed since the checkpoint: ' + '; '.join(by_kind['harmless']))
    if 'inexact' in by_kind:
        _warn(
            'The run goes on at the same image, but not bit for bit as it would '
            'have: ' + '; '.join(by_kind['inexact'])
        )
    if 'serious' in by_kind:
        listed = '; '.join(by_kind['serious'])
        if not accept:
            raise ConfigError(
                f'the config is not the one of the checkpoint: {listed}. To go on '
                f'with the new values add {ACCEPT_FLAG}; to begin anew use --fresh '
                'or another --work-dir.'
            )
        _warn(f'Going on with a changed config: {listed}')


def _log(text: str) -> None:
    print_log(text, logger='current')


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)
