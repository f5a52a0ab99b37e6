"""The only way round restricted loading: a checkpoint named as trusted."""

import logging
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log

from .naming import ConfigError
from .weights import local_file, published_url

_trusted: set[Path] = set()


def trust_checkpoint(name: str | None) -> None:
    """Let this file, and no other, be unpickled in full from now on.

    Unpickling runs whatever code the file asks for. This is what
    ``--trust-checkpoint`` of the tools does with the file that stands on their
    command line.

    Args:
        name: A path, or the name of published weights.

    Raises:
        ConfigError: No file is named.
    """
    if not name or name == 'auto':
        raise ConfigError(
            '--trust-checkpoint: no checkpoint is named on the command line, and it '
            'is the only one that is trusted: name the file.'
        )
    path = local_file(published_url(name)) if '://' in name else Path(name)
    _trusted.add(path.expanduser().resolve())


def is_trusted(path: Path) -> bool:
    """Whether :func:`trust_checkpoint` named this file."""
    return path.resolve() in _trusted


def read_trusted(path: Path, map_location: Any) -> Any:
    """Unpickle in full a file that :func:`trust_checkpoint` named."""
    assert is_trusted(path), path
    print_log(
        f'{path} is unpickled in full, which runs any code in it, because '
        '--trust-checkpoint names it.',
        logger='current',
        level=logging.WARNING,
    )
    return torch.load(path, map_location, weights_only=False)
