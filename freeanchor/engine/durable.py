"""Files that are there whole or not at all, whatever happens meanwhile."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

PARTIAL = '.partial'
"""How the names of files end that are being written; they begin with a dot."""
_CHUNK = 1 << 20  # bytes


def write_atomically(path: str | Path, write: Callable[[BinaryIO], None]) -> str:
    """Write a file that replaces the one of that name only once it is complete.

    The content goes to a file beside it, which is flushed to the disk, renamed,
    and the folder is flushed too. Killed at any moment, either the old content
    is there or the new.

    Args:
        path: The file. Its folder must exist.
        write: Writes the content into the file that it is given, front to back.

    Returns:
        SHA-256 of the content, as hex digits.

    Raises:
        OSError: The content could not be written, as on a full disk. Nothing of
            it stays behind, and the old file is as it was.
    """
    path = Path(path)
    partial = path.with_name(f'.{path.name}{PARTIAL}')
    try:
        with partial.open('wb') as file:
            hashing = _Hashing(file)
            hashing.take(write)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)
    return hashing.digest()


def write_text_atomically(path: str | Path, text: str) -> str:
    """:func:`write_atomically` for text, as UTF-8."""
    content = text.encode()

    def write(file: BinaryIO) -> None:
        file.write(content)

    return write_atomically(path, write)


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's content, as hex digits."""
    sha256 = hashlib.sha256()
    with Path(path).open('rb') as file:
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
    return sha256.hexdigest()


def remove_partial(folder: str | Path) -> list[str]:
    """Delete what a killed process left half written; the names."""
    left = sorted(Path(folder).glob(f'.*{PARTIAL}'))
    for path in left:
        path.unlink(missing_ok=True)
    return [path.name for path in left]


class _Hashing:
    """A file that hashes what passes, so that it need not be read again."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self._error: OSError | None = None

    def take(self, write: Callable[[BinaryIO], None]) -> None:
        """Let ``write`` write.

        Raises:
            OSError: The file could not take it, whatever ``write`` made of that:
                :func:`torch.save` turns it into an error about positions.
        """
        try:
            write(cast(BinaryIO, self))
        except Exception:
            if self._error is not None:
                raise self._error from None
            raise

    def write(self, data: Any) -> int:
        self._sha256.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self._error = error
            raise

    def flush(self) -> None:
        self._file.flush()

    def digest(self) -> str:
        return self._sha256.hexdigest()


def _flush_folder(folder: Path) -> None:
    """Make a rename outlast a loss of power, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(handle)
    except OSError:  # some network file systems do not flush folders
        pass
    finally:
        os.close(handle)
