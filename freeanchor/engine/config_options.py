"""``--cfg-options``: single values of a config, set on the command line."""

import ast
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config

from . import config_vocabulary as vocabulary
from .data_config import check_plain
from .naming import ConfigError, did_you_mean, is_typo

_WORDS = {'true': True, 'false': False, 'none': None, 'null': None}


def parse_options(options: Sequence[str]) -> dict[str, Any]:
    """``['a.b=1', 'c=x']`` to ``{'a.b': 1, 'c': 'x'}``.

    Values are Python literals (``1``, ``1e-3``, ``[1, 2]``, ``'text'``) or
    true, false, none. All else is text and stays as it is, spaces and zeros in
    front included. ``[a,b]`` is a list of words, ``1,2`` a list of numbers.
    """
    parsed = {}
    for option in options:
        key, equals, text = option.partition('=')
        if not equals or not key:
            raise ConfigError(f'--cfg-options {option}: write it as KEY=VALUE.')
        parsed[key] = parse_value(text)
        check_plain({key: parsed[key]}, '--cfg-options')
    return parsed


def parse_value(text: str) -> Any:
    """One value of an option; see :func:`parse_options`."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        value = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        value = text  # {[]: 1} is a TypeError: no dict has a list as its key
    if isinstance(value, tuple) and not text.startswith('('):
        return list(value)
    if value == text and text[:1] + text[-1:] == '[]' and '[' not in text[1:-1]:
        return [parse_value(x.strip()) for x in text[1:-1].split(',')]
    return value


def apply_options(
    cfg: Config, options: dict[str, Any], variables: dict[str, Any]
) -> None:
    """Set ``options`` in ``cfg``.

    Args:
        cfg: Changed in place.
        options: Values by their dotted keys.
        variables: Names the config file used while it was read, and their
            values. To set them now would do nothing.

    Raises:
        ConfigError: A key has no such place in the config.
    """
    for key in options:
        if key in variables and key not in cfg:
            raise ConfigError(_no_effect(key, variables[key], cfg))
        _check_place(cfg, key)
    try:
        cfg.merge_from_dict(options)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f'--cfg-options {" ".join(options)}: {error}') from error


def _check_place(cfg: Config, key: str) -> None:
    """Refuse ``key`` where it leads nowhere."""
    first, *rest = key.split('.')
    if first not in vocabulary.TOP_KEYS and first not in cfg:
        raise ConfigError(
            f'--cfg-options {key}: nothing reads {first!r}: '
            f'{did_you_mean(first, vocabulary.TOP_KEYS)}'
        )
    node = cfg.get(first)
    for i, part in enumerate(rest):
        if isinstance(node, list | tuple):
            if not part.isdigit() or int(part) >= len(node):
                raise ConfigError(
                    f'--cfg-options {key}: {".".join([first, *rest[:i]])} is a list '
                    f'of {len(node)}, {part!r} is no place in it.'
                )
            node = node[int(part)]
        elif isinstance(node, dict) and part in node:
            node = node[part]
        elif isinstance(node, dict) and 'type' not in node and is_typo(part, node):
            raise ConfigError(f'--cfg-options {key}: {did_you_mean(part, node)}')
        else:  # new here: for check_config to judge
            return


def _no_effect(name: str, value: Any, cfg: Config) -> str:
    places = [path for path, found in _leaves(cfg, '') if found == value]
    instead = ' '.join(f'{path}=...' for path in places[:4])
    return (
        f'--cfg-options {name}: {name!r} is a variable of the config file, and '
        'what was made from it would not change: set '
        f'{instead or "the keys that use it"} instead.'
    )


def _leaves(node: Any, path: str) -> list[tuple[str, Any]]:
    """Every value below ``node`` with its dotted key."""
    if isinstance(node, list | tuple):
        items = [(str(i), x) for i, x in enumerate(node)]
    elif hasattr(node, 'items'):
        items = list(node.items())
    else:
        return [(path, node)]
    found = [(path, node)] if path else []
    for key, item in items:
        found += _leaves(item, f'{path}.{key}' if path else key)
    return found
