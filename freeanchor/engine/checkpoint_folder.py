"""The checkpoints of a work folder: written whole, checked, and found again."""

import json
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from .durable import remove_partial, sha256_of, write_atomically, write_text_atomically
from .loading import read_checkpoint
from .weights import CheckpointError

MANIFEST = 'checkpoints.json'
LAST = 'last_checkpoint'
KINDS = ('interval', 'moment', 'best')
"""Saved every so often; when asked for; because no other scored as well."""
_NUMBERED = re.compile(r'(?:epoch|iter)_\d+\.pth')


@dataclass(frozen=True)
class Entry:
    """What the manifest says of a checkpoint.

    Attributes:
        file: Name in the folder.
        bytes: Size of the file; -1 where the manifest does not know the file.
        sha256: Of its content.
        iter: Iterations done.
        epoch: Epochs done.
        kind: One of :data:`KINDS`.
    """

    file: str
    bytes: int
    sha256: str
    iter: int
    epoch: int
    kind: str


@dataclass(frozen=True)
class Found:
    """The newest intact checkpoint, and what is wrong with those after it."""

    path: Path
    iter: int
    damaged: tuple[str, ...]  # one sentence each, newest first


class CheckpointFolder:
    """Reads and writes the checkpoints of one run.

    ``checkpoints.json`` lists them with sizes and checksums, ``last_checkpoint``
    names the newest. Both are written after the file that they speak of, and
    names are relative, so that a folder can be moved.

    Args:
        folder: The work folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def write(
        self, name: str, checkpoint: dict[str, Any], kind: str = 'interval'
    ) -> Path:
        """Write a checkpoint, read it back, and only then list it.

        Args:
            name: Name of the file.
            checkpoint: Plain data with ``meta.iter`` and ``meta.epoch``.
            kind: One of :data:`KINDS`.

        Raises:
            OSError: The disk is full, or does not give back what was written.
                What stood in the folder before still does.
        """
        path = self.folder / name
        listed = self._listed()
        others = [x for x in listed if x.file != name]
        # What the list says of a file must not outlive the file.
        if len(others) < len(listed):
            self._list(others)
        digest = write_atomically(path, lambda file: torch.save(checkpoint, file))
        if sha256_of(path) != digest:
            raise OSError(f'{path} does not read back as it was written')
        meta = checkpoint['meta']
        entry = Entry(
            name, path.stat().st_size, digest, meta['iter'], meta['epoch'], kind
        )
        self._list([*others, entry])
        write_text_atomically(self.folder / LAST, name)
        return path

    def keep(self, count: int, best: Iterable[str] = ()) -> list[str]:
        """Delete what is not needed any more; the names.

        The two newest checkpoints always stay, the best ones that are named,
        and of those saved every so often the newest ``count``.

        Args:
            count: -1 for all.
            best: Names of files.
        """
        entries = sorted(self._listed(), key=lambda x: (x.iter, x.kind != 'best'))
        regular = [x.file for x in entries if x.kind == 'interval']
        first = 0 if count < 0 else max(0, len(regular) - count)
        kept = set(regular[first:])
        kept.update([x.file for x in entries if x.kind != 'best'][-2:])
        kept.update(best)
        gone = [x.file for x in entries if x.file not in kept]
        if gone:
            self._list([x for x in entries if x.file in kept])
            for name in gone:
                (self.folder / name).unlink(missing_ok=True)
        return gone

    def has_any(self) -> bool:
        """Whether there is a checkpoint, intact or not."""
        return bool(self.entries())

    def entries(self) -> list[Entry]:
        """The files that are there, the newest first.

        Files that the manifest does not list (of another program, or written
        just before the process was killed) are among them.
        """
        listed = [x for x in self._listed() if (self.folder / x.file).is_file()]
        known = {x.file for x in listed}
        others = [
            _unlisted(path)
            for path in sorted(self.folder.glob('*.pth'))
            if path.name not in known and _NUMBERED.fullmatch(path.name)
        ]
        return sorted(listed + others, key=_age, reverse=True)

    def newest_intact(self) -> Found | None:
        """The newest checkpoint that is whole; None where there is none at all.

        Raises:
            CheckpointError: All are damaged; the message says how each is.
        """
        damaged: list[str] = []
        for entry in self.entries():
            reason = self.why_damaged(entry)
            if reason is None:
                return Found(self.folder / entry.file, entry.iter, tuple(damaged))
            damaged.append(reason)
        if damaged:
            raise CheckpointError(
                f'no checkpoint of {self.folder} is intact: {"; ".join(damaged)}. '
                'Start again with --fresh, or name another one: --resume FILE'
            )
        return None

    def why_damaged(self, entry: Entry) -> str | None:
        """What is wrong with a file, in a sentence; None if it is intact."""
        path = self.folder / entry.file
        if entry.bytes < 0:
            return _why_torn(path)
        size = path.stat().st_size
        if size != entry.bytes:
            return f'{path} has {size} bytes instead of {entry.bytes}'
        if sha256_of(path) != entry.sha256:
            return f'{path} was changed since it was written (its SHA-256 is another)'
        return None

    def set_aside(self, after_iter: int = -1) -> Path | None:
        """Move checkpoints of later iterations into a folder of their own."""
        later = [x.file for x in self.entries() if x.iter > after_iter]
        if not later:
            return None
        aside = self.folder / time.strftime('old_%Y%m%d_%H%M%S')
        aside.mkdir(exist_ok=True)
        self._list([x for x in self._listed() if x.file not in later])
        for name in later:
            (self.folder / name).replace(aside / name)
        left = self.entries()
        write_text_atomically(self.folder / LAST, left[0].file if left else '')
        return aside

    def clean(self) -> list[str]:
        """Delete what a killed process left half written; the names."""
        return remove_partial(self.folder)

    def _listed(self) -> list[Entry]:
        try:
            entries = json.loads((self.folder / MANIFEST).read_text())
            found = [Entry(**entry) for entry in entries]
        except (OSError, ValueError, TypeError):
            return []  # each file is then checked by its own checksums
        # A name in it must not lead out of the folder.
        return [x for x in found if x.file == Path(x.file).name]

    def _list(self, entries: Iterable[Entry]) -> None:
        ordered = sorted(entries, key=_age)
        text = json.dumps([asdict(x) for x in ordered], indent=1)
        write_text_atomically(self.folder / MANIFEST, text + '\n')


def _age(entry: Entry) -> tuple[int, int]:
    # After an epoch its own file is newer than one of its last iteration.
    return entry.iter, KINDS[::-1].index(entry.kind)


def _unlisted(path: Path) -> Entry:
    try:
        meta = read_checkpoint(path).get('meta', {})
    except CheckpointError:
        meta = {}
    # One that cannot be read is looked at first, so that it is spoken of.
    iteration = meta.get('iter', 1 << 62)
    return Entry(path.name, -1, '', iteration, meta.get('epoch', 0), 'interval')


def _why_torn(path: Path) -> str | None:
    """What is wrong with a file by its own checksums."""
    try:
        meta = read_checkpoint(path).get('meta') or {}
    except (CheckpointError, OSError) as error:
        return str(error)
    return None if 'iter' in meta else f'{path} holds weights, not the state of a run'
