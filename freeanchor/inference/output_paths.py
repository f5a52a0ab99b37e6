"""Refuse results that would replace what they are made from, before detecting."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from freeanchor.engine import ConfigError


def check_outputs(
    folder: str | None, tables: Mapping[str, str | None], read: Iterable[Path]
) -> None:
    """Look whether results can be written where they are asked for.

    Args:
        folder: Of the annotated pictures, if any are asked for.
        tables: Files by the option that asks for them; None where none does.
        read: Files that are read.

    Raises:
        ConfigError: A result would replace a file that is read, or another
            result; or it cannot be written there.
    """
    read = [x for x in read if x.is_file()]
    taken = [] if folder is None else [('--out-dir', Path(folder))]
    if folder is not None:
        _check_folder(Path(folder), '--out-dir')
    for option, name in tables.items():
        if name is None:
            continue
        path = Path(name)
        if path.is_dir():
            raise ConfigError(f'{option} {path} is a folder: name a file')
        _check_folder(path.parent, option)
        if any(same_file(path, x) for x in read):
            raise ConfigError(
                f'{option} {path} would replace a file that is read: name another'
            )
        for other, place in taken:
            if same_file(path, place):
                raise ConfigError(f'{other} and {option} are both {path}: name another')
        taken.append((option, path))


def check_apart(folder: str, inputs: Iterable[Path]) -> None:
    """Look whether results go to another folder than where inputs lie.

    Args:
        folder: Of the annotated pictures and videos.
        inputs: Images and videos.

    Raises:
        ConfigError: An input lies in ``folder``.
    """
    place = os.path.realpath(folder)
    for path in inputs:
        if os.path.realpath(path.parent) == place:
            raise ConfigError(
                f'--out-dir {folder} is the folder of {path}, which is looked at: '
                'name another'
            )


def same_file(first: Path, second: Path) -> bool:
    """Whether two names are of one file, which need not be there."""
    if first.exists() and second.exists():
        return first.samefile(second)
    return os.path.realpath(first) == os.path.realpath(second)


def _check_folder(folder: Path, option: str) -> None:
    """Refuse a folder that is none, or cannot be made or written into."""
    there = next(x for x in (folder, *folder.absolute().parents) if x.exists())
    if not there.is_dir():
        raise ConfigError(f'{option}: {there} is a file, and no folder: name another')
    if not os.access(there, os.W_OK):
        raise ConfigError(
            f'{option}: nothing may be written into {there}: name another'
        )
