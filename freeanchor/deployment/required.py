"""Packages that only deployment needs."""

import importlib
from typing import Any

from freeanchor.engine import ConfigError


def required(name: str, extra: str) -> Any:
    """The module ``name``, which comes with an extra of this package.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(
            f'{name} is not installed: pip install freeanchor[{extra}]'
        ) from None
