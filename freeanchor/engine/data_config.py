"""JSON and YAML configs: data, of which nothing is executed or imported."""

import json
from pathlib import Path
from typing import Any

import yaml

from .naming import ConfigError

SUFFIXES = ('.json', '.yaml', '.yml')
_BASE = '_base_'
_DELETE = '_delete_'
_LARGEST = 10 << 20  # bytes
_MOST_VALUES = 200_000  # counted as often as they are met: YAML can repeat them
_UNPRINTABLE = '\'"\\\n\r'  # a key with one would not stay a key in a dumped config


def read_data_config(path: Path, _above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The values of a JSON or YAML config and of the bases that it names.

    A base is merged under what names it; ``_delete_: true`` in a dict replaces
    the base's dict of that name. Texts stay as they are: nothing is substituted.

    Args:
        path: The file.

    Raises:
        ConfigError: The file is damaged or too large, asks for what only a
            Python config may (an import, a base that is Python, an object of
            YAML), or its bases name each other in a circle.
    """
    path = path.resolve()
    if path in _above:
        raise ConfigError(f'{path}: its bases lead back to itself.')
    own = _parsed(path)
    if not isinstance(own, dict):
        raise ConfigError(f'{path}: holds a {type(own).__name__}, not keys and values.')
    check_plain(own, str(path))
    if 'custom_imports' in own:
        raise ConfigError(
            f'{path}: custom_imports would run code, and a {path.suffix} config is '
            'data: make it a .py config.'
        )
    bases = own.pop(_BASE, [])
    merged: dict[str, Any] = {}
    for name in [bases] if isinstance(bases, str) else bases:
        base = read_data_config(_base(path, name), (*_above, path))
        merged = _merge(base, merged, str(path))
    return _merge(own, merged, str(path))


def check_plain(value: Any, where: str) -> None:
    """Refuse what a config of plain data does not hold.

    Raises:
        ConfigError: ``value`` holds itself, too many values, a key that is no
            plain text, or a value that is no number, text, list or dict.
    """
    try:
        _count(value, where, {})
    except RecursionError:
        raise ConfigError(f'{where}: is nested too deeply.') from None


def _parsed(path: Path) -> Any:
    if not path.is_file():
        raise ConfigError(f'no config file {path}.')
    if path.stat().st_size > _LARGEST:
        raise ConfigError(f'{path}: is larger than {_LARGEST >> 20} MB.')
    try:
        text = path.read_text(encoding='utf-8')
        return json.loads(text) if path.suffix == '.json' else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        reason = ' '.join(str(error).split())[:300]
        raise ConfigError(f'{path}: {type(error).__name__}: {reason}') from None


def _base(path: Path, name: Any) -> Path:
    if not isinstance(name, str) or Path(name).suffix not in SUFFIXES:
        raise ConfigError(
            f'{path}: the base {name!r} is no {" or ".join(SUFFIXES)} file. A Python '
            'base would run code, and this config is data: make it a .py config.'
        )
    return path.parent / name


def _count(value: Any, where: str, counts: dict[int, int]) -> int:
    """How many values a walk over ``value`` meets."""
    if isinstance(value, dict | list | tuple):
        if counts.setdefault(id(value), 0) == -1:
            raise ConfigError(f'{where}: holds itself.')
        if not counts[id(value)]:
            counts[id(value)] = -1
            counts[id(value)] = 1 + sum(
                _count(x, place, counts) for x, place in _items(value, where)
            )
        if counts[id(value)] > _MOST_VALUES:
            raise ConfigError(f'{where}: holds more than {_MOST_VALUES} values.')
        return counts[id(value)]
    if not isinstance(value, str | int | float | None):
        raise ConfigError(
            f'{where}: a {type(value).__name__} is no plain value: write it as text, '
            'in quotes.'
        )
    return 1


def _items(value: dict | list | tuple, where: str) -> list[tuple[Any, str]]:
    if not isinstance(value, dict):
        return [(x, where) for x in value]
    for key in value:
        if not isinstance(key, str) or any(x in key for x in _UNPRINTABLE):
            raise ConfigError(f'{where}: {key!r} is no key of a config.')
    return [(x, f'{where}: {key}') for key, x in value.items()]


def _merge(own: dict, base: dict, where: str) -> dict:
    """``own`` over ``base``, dict by dict."""
    merged = dict(base)
    for key, value in own.items():
        place = f'{where}: {key}'
        if isinstance(value, dict):
            old = base.get(key)
            value = dict(value)
            delete = value.pop(_DELETE, False)
            if delete not in (True, False) or (delete and not isinstance(old, dict)):
                raise ConfigError(
                    f'{place}: {_DELETE} is true where a base has a dict of that name.'
                )
            replaced = {} if delete or not isinstance(old, dict) else old
            value = _merge(value, replaced, place)
        elif key == _DELETE:
            raise ConfigError(f'{where}: {_DELETE} replaces a dict within the config.')
        merged[key] = value
    return merged
