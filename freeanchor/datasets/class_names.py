"""Which classes a data set has, and in which order."""

import difflib
from collections.abc import Sequence

from .errors import DataError


def choose_classes(
    configured: Sequence[str] | None, categories: dict[int, str], path: str
) -> tuple[str, ...]:
    """Names in the order of their labels, each checked against the file.

    Args:
        configured: Names of ``metainfo.classes``; None takes all of the file.
        categories: Name of each category id, in the file's order.
        path: The file.

    Raises:
        DataError: A name that the file does not have, or has twice, or that is
            configured twice.
    """
    known = list(categories.values())
    classes = known if configured is None else configured
    if isinstance(classes, str):
        raise DataError(
            f'metainfo.classes is the text {classes!r}: write a tuple, '
            f'metainfo=dict(classes=({classes!r},))'
        )
    for name in classes:
        if name not in known:
            raise DataError(
                f'metainfo.classes has {name!r}, which {path} does not have.'
                f'{nearest(name, known)} Its categories are: {", ".join(known)}'
            )
        if known.count(name) > 1:
            ids = [i for i, category in categories.items() if category == name]
            raise DataError(
                f'{path}: the categories {ids} are all named {name!r}; rename them, '
                'or give their annotations one category id and remove the others'
            )
        if list(classes).count(name) > 1:
            raise DataError(f'metainfo.classes names {name!r} twice: remove one')
    return tuple(classes)


def nearest(name: str, known: list[str]) -> str:
    """A question for the name that was probably meant; empty if none is near."""
    spelt = {x.lower(): x for x in known}
    close = difflib.get_close_matches(str(name).lower(), list(spelt))
    return f' Did you mean {" or ".join(repr(spelt[x]) for x in close)}?' * bool(close)
