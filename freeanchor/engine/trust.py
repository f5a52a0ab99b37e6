"""The only way round restricted loading: a checkpoint named as trusted."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log

from .naming import ConfigError
from .weights import local_file, published_url

_trusted: set[Path] = set()


def trust_named(checkpoint: str | None, options: Sequence[str] = ()) -> None:
    """What ``--trust-checkpoint`` does: trust what the command line names.

    Args:
        checkpoint: The checkpoint on the command line; None or ``'auto'`` is none.
        options: ``KEY=VALUE``, of which ``load_from=...`` names one too.

    Raises:
        ConfigError: Nothing is named. What a config names is not trusted.
    """
    names = [x.partition('=')[2] for x in options if x.startswith('load_from=')]
    if checkpoint not in (None, 'auto'):
        names.append(str(checkpoint))
    if not names:
        raise ConfigError(
            '--trust-checkpoint: no checkpoint is named on the command line, and no '
            'other is trusted: name the file.'
        )
    for name in names:
        trust_checkpoint(name)


def trust_checkpoint(name: str) -> None:
    """Let this file, and no other, be unpickled in full from now on.

    Unpickling runs whatever code the file asks for.

    Args:
        name: A path, or the name of published weights.
    """
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
