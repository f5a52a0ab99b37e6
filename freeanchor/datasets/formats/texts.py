"""Read small text files that may come from any editor."""

from pathlib import Path

from ..errors import DataError

_LARGEST = 64 << 20  # bytes


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: It is missing, too large for a list, or not in UTF-8.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise DataError(f'{path}: is larger than {_LARGEST >> 20} MB: split it')
        return path.read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise DataError(
            f'{path}: is not UTF-8 (byte {error.start}): save it as UTF-8'
        ) from None
    except OSError as error:
        raise DataError(f'{path}: cannot be read ({error.strerror})') from None


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines with something in them, after their numbers from 1."""
    lines = enumerate(read_text(path).splitlines(), 1)
    return [(i, line.strip()) for i, line in lines if line.strip()]
