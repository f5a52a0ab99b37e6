"""Read the text of a config as data: nothing in it is executed.

A checkpoint carries the config of its run as text (``meta['cfg']``). The file
may come from anywhere, so its text is never handed to Python.
"""

import ast
from typing import Any

from .naming import ConfigError

_MOST_CHARACTERS = 1 << 20
_MOST_DEPTH = 100  # of brackets within brackets, at which Python's own parser ends
_NUMBERS = {'nan': float('nan'), 'inf': float('inf')}


def parse_config_text(text: str) -> dict[str, Any]:
    """The values of a config dumped by :attr:`mmengine.config.Config.pretty_text`.

    Read are assignments of literals: numbers, strings, lists, tuples, sets,
    dicts, and ``dict(key=value)``.

    Args:
        text: Lines such as ``model = dict(type='X', depth=50)``.

    Returns:
        A plain dict by the names at the left.

    Raises:
        ConfigError: The text holds anything else, or is too long or nested to
            be a config. Names the line.
    """
    if not isinstance(text, str) or len(text) > _MOST_CHARACTERS:
        raise ConfigError(
            f'config text: {type(text).__name__} is no text of at most '
            f'{_MOST_CHARACTERS} characters.'
        )
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise ConfigError(f'config text: {type(error).__name__}: {error}') from error
    try:
        return dict(_assignment(node) for node in body)
    except RecursionError:  # of what quotes the refused line
        raise ConfigError('config text: is nested too deeply to be data.') from None


def _assignment(node: ast.stmt) -> tuple[str, Any]:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        if isinstance(target, ast.Name):
            return target.id, _value(node.value, 0)
    raise _refused(node)


def _value(node: ast.expr, depth: int) -> Any:
    if depth > _MOST_DEPTH:
        raise _refused(node)
    match node:
        case ast.Constant(value=value) if value is not ...:
            return value
        case ast.Name(id=name) if name in _NUMBERS:
            return _NUMBERS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _value(operand, depth + 1)
            if isinstance(value, int | float | complex):
                return -value
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            values = [_value(x, depth + 1) for x in items]
            return values if isinstance(node, ast.List) else _fixed(node, values)
        case ast.Dict(keys=keys, values=items) if None not in keys:
            names = [_value(x, depth + 1) for x in keys if x is not None]
            return _paired(node, names, [_value(x, depth + 1) for x in items])
        case ast.Call(func=ast.Name(id='dict'), args=[ast.Dict()], keywords=[]):
            return _value(node.args[0], depth + 1)  # keys that are no names
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=keywords):
            if all(x.arg for x in keywords):
                return {str(x.arg): _value(x.value, depth + 1) for x in keywords}
    raise _refused(node)


def _fixed(node: ast.expr, values: list) -> Any:
    try:
        return tuple(values) if isinstance(node, ast.Tuple) else set(values)
    except TypeError:
        raise _refused(node) from None


def _paired(node: ast.expr, names: list, values: list) -> dict:
    try:
        return dict(zip(names, values))
    except TypeError:
        raise _refused(node) from None


def _refused(node: ast.AST) -> ConfigError:
    return ConfigError(
        f'config text, line {getattr(node, "lineno", "?")}: '
        f'{ast.unparse(node)[:60]!r} is no plain value; the text is data and is '
        'never executed.'
    )
