"""Errors about names in a config, and the name that was probably meant."""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A config, or an option of a command line, that cannot work.

    The tools print it as one line and end with ``exit_code``.
    """

    exit_code = 2


def did_you_mean(name: str, valid: Iterable[str], limit: int = 12) -> str:
    """The end of an error: the valid name nearest to ``name``.

    Where none is near, the valid names themselves, if they are few.
    """
    names = sorted(set(valid))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f'did you mean {near[0]!r}?'
    if len(names) <= limit:
        return f'valid are {", ".join(names)}' if names else 'none is valid'
    return f'valid are {", ".join(names[:limit])} and {len(names) - limit} more'


def is_typo(name: str, valid: Iterable[str]) -> bool:
    """Whether ``name`` is so near a valid name that it is probably a slip."""
    return bool(difflib.get_close_matches(name, list(valid), n=1, cutoff=0.8))
