"""The two formats of :func:`torch.save`, read as plain data.

The first is a zip archive with one pickle and one member per storage. The
second, of torch before 1.6, is a row of pickles with the storages behind them.
"""

import os
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from .pickled_data import read_pickle
from .plain_values import finished
from .stand_ins import TABLE, Storage

_MAGIC = 0x1950A86A20F9469CFC6C  # the first value of the older format
_PIECE = 1 << 22  # bytes


def read_torch_file(path: Path, device: str | torch.device = 'cpu') -> Any:
    """What :func:`torch.save` wrote, if that is plain data.

    Little more memory is taken than the file has bytes; a file made to take all
    that it can takes a small multiple of its size, a few MB apart.

    Args:
        path: The file.
        device: Where its tensors go.

    Raises:
        ForbiddenError: The file holds more than plain data.
        Exception: The file is damaged; of any type.
    """
    with path.open('rb') as file:
        start = file.read(2)
        file.seek(0)
        if start == b'PK':
            value = _read_zip(path)
        elif start[:1] == b'\x80':
            value = read_older(file, path.stat().st_size)
        else:
            raise ValueError('no file of torch.save')
    # Shared lists may be few bytes and yet without an end for who walks them.
    return finished(value, torch.device(device), 16 * path.stat().st_size + (1 << 20))


def read_bare_pickle(path: Path) -> Any:
    """A pickle of plain data alone, as detectron2 publishes its weights.

    Raises:
        ForbiddenError: The file holds more than plain data.
        Exception: The file is damaged; of any type.
    """
    size = path.stat().st_size
    with path.open('rb') as file:
        value = read_pickle(cast(BinaryIO, _Bounded(file, size)), TABLE, _memory(size))
    return finished(value, torch.device('cpu'), 16 * size + (1 << 20))


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        _check_members(members, path.stat().st_size)
        pickles = [x for x in archive.namelist() if x.rpartition('/')[2] == 'data.pkl']
        if len(pickles) != 1:
            raise ValueError(f'{len(pickles)} members data.pkl in the archive')
        folder = pickles[0].removesuffix('data.pkl')
        if f'{folder}constants.pkl' in archive.namelist():
            raise ValueError('a TorchScript program, not a checkpoint')
        if f'{folder}byteorder' in archive.namelist():
            _check_order(archive.read(f'{folder}byteorder') == b'little')
        storages: dict[str, Storage] = {}

        def find(description: tuple) -> Storage:
            dtype, key, count = _described(description, 5)
            if key not in storages:
                content = _member(archive, f'{folder}data/{key}')
                storages[key] = Storage(content, dtype, path.stat().st_size)
            if count * dtype.itemsize != len(storages[key].content):
                raise ValueError(f'storage {key} has another size than it says')
            return storages[key]._replace(dtype=dtype)

        most = _memory(path.stat().st_size)
        return read_pickle(BytesIO(archive.read(pickles[0])), TABLE, most, find)


def _memory(size: int) -> int:
    """Bytes that the values in a file of ``size`` bytes may take."""
    return 16 * size + (16 << 20)


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse an archive that would be larger unpacked."""
    if any(x.compress_type != zipfile.ZIP_STORED for x in members):
        raise ValueError('a compressed archive; torch does not compress')
    if sum(x.file_size for x in members) > size:
        raise ValueError('the members of the archive are larger than the file')
    if len({x.filename for x in members}) != len(members):
        raise ValueError('a member of the archive is there twice')


def _check_order(little: bool) -> None:
    if not little:
        raise ValueError('its numbers are in big-endian order')


def _described(description: Any, length: int) -> tuple[torch.dtype, str, int]:
    """Type, name and number of elements of a storage."""
    if type(description) is not tuple or len(description) != length:
        raise ValueError('a storage without a description')
    kind, dtype, key, _, count = description[:5]
    if kind != 'storage' or not isinstance(dtype, torch.dtype):
        raise ValueError('a storage of no known type')
    if type(key) is not str or type(count) is not int or count < 0:
        raise ValueError('a storage without a name or a size')
    return dtype, key, count


def _member(archive: zipfile.ZipFile, name: str) -> Tensor:
    """The bytes of a member; zipfile compares them with their checksum."""
    content = torch.empty(archive.getinfo(name).file_size, dtype=torch.uint8)
    with archive.open(name) as file:
        _fill(content, cast(BinaryIO, file))
        if file.read(1):
            raise ValueError(f'{name} is longer than it says')
    return content


def _fill(content: Tensor, file: BinaryIO) -> None:
    target: Any = memoryview(cast(Any, content.numpy()))
    while len(target):
        piece = file.read(min(_PIECE, len(target)))
        if not piece:
            raise EOFError('the file ends too early')
        target[: len(piece)] = piece
        target = target[len(piece) :]


def read_older(file: BinaryIO, size: int) -> Any:
    bounded = cast(BinaryIO, _Bounded(file, size))
    most = _memory(size)
    first = read_pickle(bounded, TABLE, most)
    if type(first) is not int or first != _MAGIC:
        raise ValueError('no file of torch.save')
    read_pickle(bounded, TABLE, most)  # the version, 1001
    _check_order(read_pickle(bounded, TABLE, most).get('little_endian') is True)
    storages: dict[str, Storage] = {}
    value = read_pickle(bounded, TABLE, most, _finder(storages, size))
    for key in read_pickle(bounded, TABLE, most):
        count = int.from_bytes(bounded.read(8), 'little')
        content, dtype, _ = storages[key]
        if count * dtype.itemsize != len(content):
            raise ValueError(f'storage {key} has another size than it says')
        _fill(content, bounded)
    return value


def _finder(storages: dict[str, Storage], size: int) -> Callable[[Any], Storage]:
    """Makes storages that are filled later, ``size`` bytes in all at most."""
    left = size

    def find(description: tuple) -> Storage:
        dtype, key, count = _described(description, 6)
        if key not in storages:
            nonlocal left
            left -= count * dtype.itemsize
            if left < 0:
                raise ValueError('its storages are larger than the file')
            content = torch.zeros(count * dtype.itemsize, dtype=torch.uint8)
            storages[key] = Storage(content, dtype, size)
        storage = storages[key]
        if description[5] is None:
            return storage._replace(dtype=dtype)
        _, offset, length = description[5]
        part = slice(offset * dtype.itemsize, (offset + length) * dtype.itemsize)
        return storage._replace(content=storage.content[part], dtype=dtype)

    return find


class _Bounded:
    """A file that is never asked for more bytes than it has."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.readline = file.readline
        self.tell = file.tell

    def read(self, count: int) -> bytes:
        if not 0 <= count <= self._size - self._file.tell():
            raise EOFError('the file ends too early')
        return self._file.read(count)


def is_tar(path: Path) -> bool:
    """Whether ``path`` is of torch's first format, a tar archive of pickles."""
    with path.open('rb') as file:
        file.seek(257, os.SEEK_SET)
        return file.read(5) == b'ustar'
