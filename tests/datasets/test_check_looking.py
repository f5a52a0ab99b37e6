"""Files of which the first bytes are not enough, and a decoder that dies."""

import faulthandler
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from freeanchor.datasets.checks import looking
from freeanchor.datasets.checks.look import Look, look_at

from .pictures import encoded

MAX_PIXELS = 1_000_000


def with_notes(jpeg: bytes) -> bytes:
    """A JPEG with 320 kB of notes before its size, as a colour profile may have."""
    notes = b'\xff\xe2' + struct.pack('>H', 65_535) + bytes(65_533)
    return jpeg[:2] + 5 * notes + jpeg[2:]


def turned_behind_notes(png: bytes) -> bytes:
    """A PNG whose orientation (6, a quarter turn) comes behind 300 kB of notes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        end = struct.pack('>I', zlib.crc32(kind + data))
        return struct.pack('>I', len(data)) + kind + data + end

    notes = b'MM\0*' + struct.pack('>IHHHIHHI', 8, 1, 0x0112, 3, 1, 6, 0, 0)
    return png[:33] + chunk(b'teSt', bytes(300_000)) + chunk(b'eXIf', notes) + png[33:]


LARGE = dict(
    directory_at_the_end=(encoded('tif', 400, 300), (400, 300)),
    long_notes=(with_notes(encoded('jpg')), (80, 60)),
    orientation_behind_notes=(turned_behind_notes(encoded('png')), (60, 80)),
)


@pytest.mark.parametrize('kind', LARGE)
def test_a_header_beyond_the_first_bytes_is_found(tmp_path, kind):
    content, size = LARGE[kind]
    (tmp_path / 'image').write_bytes(content)
    fast = look_at(str(tmp_path / 'image'), MAX_PIXELS, decode=False)
    full = look_at(str(tmp_path / 'image'), MAX_PIXELS, decode=True)
    assert not fast.problems + full.problems
    assert fast.header == full.header
    assert fast.header is not None
    assert fast.header.upright == size


def test_a_long_file_that_is_no_image_is_none(tmp_path):
    (tmp_path / 'image').write_bytes(b'\xff\xd8\xff\xe2' + bytes(300_000))
    ((code, text),) = look_at(str(tmp_path / 'image'), MAX_PIXELS, False).problems
    assert code == 'undecodable_image'
    assert 'header is damaged' in text


def test_after_a_crash_only_the_files_it_may_be_of_are_looked_at_alone(
    tmp_path, monkeypatch
):
    deadly = encoded('png')
    paths = [str(tmp_path / f'{i}.png') for i in range(12)]
    for i, path in enumerate(paths):
        content = deadly if i == 5 else encoded('png', 81 + i, 60)
        Path(path).write_bytes(content)
    decode, started = cv2.imdecode, []

    def decode_or_die(content: np.ndarray, flags: int) -> np.ndarray:
        if content.tobytes() == deadly:
            faulthandler.disable()  # it would print where
            os.abort()
        return decode(content, flags)

    class Counted(looking.ProcessPoolExecutor):
        def __init__(self, *args, **kwargs) -> None:
            started.append(args)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(cv2, 'imdecode', decode_or_die)
    monkeypatch.setattr(looking, '_TOGETHER', 3)
    monkeypatch.setattr(looking, 'ProcessPoolExecutor', Counted)
    seen = looking.look_at_all(paths, MAX_PIXELS, workers=1)
    assert sorted(seen) == list(range(12))
    crashed = Look((('crashing_image', 'it crashes the decoder'),))
    assert [i for i in seen if seen[i] == crashed] == [5]
    assert all(seen[i].header is not None for i in seen if i != 5)
    # All; those that a crash may be of; one for each of them; the others.
    assert len(started) <= 1 + 2 * (1 + 3) + 1
    assert len(started) < len(paths)
