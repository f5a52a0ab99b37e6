"""Which keyword arguments a class takes, those it hands on to its base included."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

_NAMED = (
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


class Arguments(NamedTuple):
    """Names a callable takes, and whether it may take any other too."""

    names: set[str]
    others: bool


def accepted_arguments(target: Callable[..., Any]) -> Arguments:
    """Names that ``target`` takes as keyword arguments.

    Where a constructor passes ``**kwargs`` on to ``super().__init__``, the
    names its base takes count too. Where they go somewhere else, any name may
    be right.
    """
    if not inspect.isclass(target):
        names, rest = _own_arguments(target)
        return Arguments(names, rest is not None)
    names = set()
    for base in target.__mro__:
        constructor = base.__dict__.get('__init__')
        if constructor is None or base is object:
            continue
        own, rest = _own_arguments(constructor)
        names |= own - {'self'}
        if rest is None:
            return Arguments(names, False)
        if not _only_for_super(constructor, rest):
            return Arguments(names, True)
    return Arguments(names, False)


def _own_arguments(function: Callable[..., Any]) -> tuple[set[str], str | None]:
    """Names of a function's own parameters, and that of its ``**kwargs``."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C
        return set(), ''
    names = {x.name for x in parameters if x.kind in _NAMED}
    rest = [x.name for x in parameters if x.kind is inspect.Parameter.VAR_KEYWORD]
    return names, rest[0] if rest else None


def _only_for_super(function: Callable[..., Any], kwargs: str) -> bool:
    """Whether ``**kwargs`` goes to ``super().__init__`` and nowhere else."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return False
    handed_on = [
        keyword.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _is_super_init(node.func)
        for keyword in node.keywords
        if keyword.arg is None
    ]
    uses = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == kwargs
    ]
    return bool(handed_on) and all(use in handed_on for use in uses)


def _is_super_init(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == '__init__'
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == 'super'
    )
