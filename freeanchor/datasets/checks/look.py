"""Look at an image file, in a process that may die of it."""

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from ..image_header import (
    HEADER_BYTES,
    HeaderError,
    ImageHeader,
    claims_too_much,
    ends_early,
    read_header,
)

_TAIL_BYTES = 1 << 16  # where the end of an image is looked for first


@dataclass(frozen=True)
class Look:
    """What a file turned out to be.

    ``problems`` are pairs of a finding's code and what there is to say.
    ``fingerprint`` is equal for files of equal content, and hardly ever else.
    """

    problems: tuple[tuple[str, str], ...] = ()
    header: ImageHeader | None = None
    fingerprint: str = ''


def look_at(path: str, max_pixels: int, decode: bool) -> Look:
    """Looks at the ends of a file, or with ``decode`` at every pixel.

    Args:
        path: The file.
        max_pixels: The most it may have.
        decode: Whether to read all of it.
    """
    try:
        start, end, header = _opened(path, whole=decode)
    except FileNotFoundError:
        return Look((('missing_image', 'there is no such file'),))
    except OSError as error:
        reason = error.strerror or str(error)
        return Look((('unreadable_image', f'it cannot be read ({reason})'),))
    except HeaderError as error:
        return Look((('undecodable_image', str(error)),))
    if header.pixels > max_pixels:
        size = f'{header.width} x {header.height} pixels'
        return Look((('too_large', f'it says it is {size}'),), header)
    problems = list(_of_header(path, header, start, end))
    if start is end and not problems and claims_too_much(start, header):
        problems.append(('cut_image', 'a part of it says it is longer than the file'))
    if decode and not problems:
        problems += _of_pixels(start)
    content = start if decode else start + end
    size = '' if decode else f'{os.path.getsize(path)} '
    mark = size + hashlib.blake2b(content, digest_size=16).hexdigest()
    return Look(tuple(problems), header, mark)


def _opened(path: str, whole: bool) -> tuple[bytes, bytes, ImageHeader]:
    """The first and the last bytes of a file and its header; all where it needs it."""
    start, end = _ends(path, whole)
    try:
        header = read_header(start)
        if start is end or header.data + 8 <= len(start):
            return start, end, header
    except HeaderError:
        if start is end:
            raise
    # The directory of a TIFF may be at its end, and notes may be long.
    content = Path(path).read_bytes()
    return content, content, read_header(content)


def _ends(path: str, whole: bool) -> tuple[bytes, bytes]:
    """The first and the last bytes of a file; twice all of it where it is small."""
    with open(path, 'rb') as file:
        size = os.fstat(file.fileno()).st_size
        if whole or size <= HEADER_BYTES:
            content = file.read()
            return content, content
        start = file.read(HEADER_BYTES)
        file.seek(size - _TAIL_BYTES)
        return start, file.read()


def _of_header(
    path: str, header: ImageHeader, start: bytes, end: bytes
) -> Iterator[tuple[str, str]]:
    elsewhere = header if end is start else replace(header, data=0)
    # Some cameras put a film behind the image: then the end is in the middle.
    if ends_early(end, elsewhere) and ends_early(Path(path).read_bytes(), header):
        yield 'cut_image', 'its end is missing'
    if header.depth == 16:
        yield 'sixteen_bit', 'of its 16 bits a value, the upper 8 are read'


def _of_pixels(content: bytes) -> Iterator[tuple[str, str]]:
    with _stderr() as said:
        try:
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:
            image = None
    if image is None:
        yield 'undecodable_image', 'its pixels cannot be decoded'
    elif said:
        yield 'damaged_pixels', f'the decoder says: {said[0]}'


@contextmanager
def _stderr() -> Iterator[list[str]]:
    """Lines that C libraries print to the standard error meanwhile."""
    lines: list[str] = []
    sys.stderr.flush()
    usual = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(usual, 2)
            os.close(usual)
            file.seek(0)
            lines += file.read().decode(errors='replace').splitlines()
