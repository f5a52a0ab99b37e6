"""A config as the text of a file that is pleasant to read."""

from typing import Any

_WIDTH = 88


def config_text(title: str, values: dict[str, Any]) -> str:
    """Assignments, one block a key; equal pipelines are named once.

    Args:
        title: The docstring.
        values: Plain values by key.
    """
    values = dict(values)
    blocks = [f'"""{title}"""']
    named: dict[str, list] = {}
    for name in ('train_pipeline', 'test_pipeline'):
        loader = values.get(name.replace('pipeline', 'dataloader')) or {}
        found = _innermost(loader.get('dataset') or {}).get('pipeline')
        if found:
            named[name] = found
            blocks.append(f'{name} = {_text(found, 0, {}, len(name) + 3)}')
    for key, value in values.items():
        blocks.append(f'{key} = {_text(value, 0, named, len(key) + 3)}')
    return '\n\n'.join(blocks) + '\n'


def _innermost(dataset: dict) -> dict:
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset


def _text(value: Any, depth: int, named: dict[str, list], used: int) -> str:
    """``value`` on one line where it fits behind ``used`` characters, else on many."""
    for name, pipeline in named.items():
        if value is pipeline or (isinstance(value, list) and value == pipeline):
            return name
    line = _line(value, named)
    if len(line) + used <= _WIDTH - 1 or not isinstance(value, dict | list | tuple):
        return line
    indent, end = '    ' * (depth + 1), '    ' * depth
    rows = []
    for key, item in _items(value):
        start = _start(value, key)
        rows.append(start + _text(item, depth + 1, named, len(indent + start)))
    opening, closing = _brackets(value)
    inside = ''.join(f'{indent}{row},\n' for row in rows)
    return f'{opening}\n{inside}{end}{closing}'


def _line(value: Any, named: dict[str, list]) -> str:
    for name, pipeline in named.items():
        if isinstance(value, list) and value == pipeline:
            return name
    if not isinstance(value, dict | list | tuple):
        return repr(value)
    opening, closing = _brackets(value)
    inside = ', '.join(_start(value, k) + _line(x, named) for k, x in _items(value))
    comma = ',' if isinstance(value, tuple) and len(value) == 1 else ''
    return f'{opening}{inside}{comma}{closing}'


def _items(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, dict) else list(enumerate(value))


def _start(value: Any, key: Any) -> str:
    if not isinstance(value, dict):
        return ''
    return f'{key}=' if _is_call(value) else f'{key!r}: '


def _brackets(value: Any) -> tuple[str, str]:
    if isinstance(value, dict):
        return ('dict(', ')') if _is_call(value) else ('{', '}')
    return ('[', ']') if isinstance(value, list) else ('(', ')')


def _is_call(value: dict) -> bool:
    return all(isinstance(x, str) and x.isidentifier() for x in value)
