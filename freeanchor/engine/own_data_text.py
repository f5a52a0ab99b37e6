"""Write changes of a config as a config, so that it reads as what they are.

Names of folders and classes are other people's: whatever they hold, they are text
in the config, and nothing that Python or MMEngine would run or replace.
"""

import json
from keyword import iskeyword
from pathlib import Path
from typing import Any

_CLASSES = 'classes'  # the variable of the written config
_WIDTH = 88


def as_config(
    changes: dict[str, Any], classes: tuple[str, ...], base: str, header: str
) -> str:
    """The changes as the text of a Python config with a base.

    Args:
        changes: Keys and values, as they are merged into the base.
        classes: Names that are in ``changes``; written once.
        base: The config they are merged into, relative to the written one.
        header: What the file is, in a line.
    """
    lines = [_quoted(header), '', f'_base_ = {_quoted(base)}', '']
    lines += [f'{_CLASSES} = {_shown(list(classes), 0, ())}', '']
    for key, value in changes.items():
        lines.append(f'{key} = {_shown(value, 0, classes)}')
    return '\n'.join(lines) + '\n'


def write_config(path: Path, changes: dict[str, Any], text: str, base: str) -> Path:
    """Write the changes beside ``path``: as ``.py``, or ``.json`` for a base of data.

    Returns:
        The file.
    """
    if not base.endswith('.py'):
        path = path.with_suffix('.json')
        # Within a text alone: JSON has no two braces in a row.
        text = json.dumps({'_base_': base, **changes}, indent=2)
        text = text.replace('{{', r'{\u007b')
    path.write_text(text, 'utf-8')
    return path


def _quoted(text: str) -> str:
    """A text as Python writes it, in one line."""
    # MMEngine replaces {{fileDirname}}, {{$HOME:}} and the like, in texts too.
    return repr(text).replace('{{', r'{\x7b')


def _shown(value: Any, indent: int, classes: tuple[str, ...]) -> str:
    """A value as Python writes it, over several lines where it is long."""
    if classes and value == classes:
        return _CLASSES
    if isinstance(value, str):
        return _quoted(value)
    if not isinstance(value, dict | list | tuple) or not value:
        return repr(value)
    inner, outer = ' ' * (indent + 4), ' ' * indent
    start, items, end = _parts(value, indent + 4, classes)
    line = start + ', '.join(items) + end
    if '\n' not in line and indent + len(line) < _WIDTH - 20:
        return line
    body = ''.join(f'{inner}{x},\n' for x in items)
    return f'{start}\n{body}{outer}{end[-1]}'


def _parts(
    value: Any, indent: int, classes: tuple[str, ...]
) -> tuple[str, list[str], str]:
    """What stands before, in and after a dict, list or tuple."""
    if not isinstance(value, dict):
        items = [_shown(x, indent, classes) for x in value]
        if isinstance(value, list):
            return '[', items, ']'
        return '(', items, ',)' if len(items) == 1 else ')'
    shown = {key: _shown(x, indent, classes) for key, x in value.items()}
    if all(_is_name(x) for x in value):
        return 'dict(', [f'{key}={x}' for key, x in shown.items()], ')'
    items = [f'{_shown(key, 0, ())}: {x}' for key, x in shown.items()]
    return '{', items, '}'


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and key.isidentifier() and not iskeyword(key)
