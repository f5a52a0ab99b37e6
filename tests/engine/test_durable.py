"""A file is there whole or not at all."""

import hashlib
import os
import signal
import time

import pytest
import torch

from freeanchor.engine.durable import (
    PARTIAL,
    remove_partial,
    sha256_of,
    write_atomically,
    write_text_atomically,
)


def test_the_content_arrives_and_its_checksum_is_told(tmp_path):
    path = tmp_path / 'a.bin'

    def write(file) -> None:
        file.write(b'ab')
        file.write(b'c')

    digest = write_atomically(path, write)
    assert path.read_bytes() == b'abc'
    assert digest == hashlib.sha256(b'abc').hexdigest() == sha256_of(path)
    assert os.listdir(tmp_path) == ['a.bin']


def test_text_is_written_as_utf_8(tmp_path):
    write_text_atomically(tmp_path / 'a.txt', 'é\n')
    assert (tmp_path / 'a.txt').read_bytes() == 'é\n'.encode()


def test_a_failure_leaves_the_old_content_and_nothing_else(tmp_path):
    path = tmp_path / 'a.bin'
    path.write_bytes(b'old')

    def fail(file) -> None:
        file.write(b'new')
        raise OSError(28, 'No space left on device')

    with pytest.raises(OSError, match='No space left'):
        write_atomically(path, fail)
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['a.bin']


def test_torch_s_own_error_for_a_full_disk_is_the_disk_s(tmp_path, monkeypatch):
    path = tmp_path / 'a.pth'

    class Full:
        def __init__(self, file) -> None:
            self.file = file

        def write(self, data) -> int:
            raise OSError(28, 'No space left on device')

        def __getattr__(self, name: str):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *error) -> None:
            self.file.close()

    open_file = type(path).open
    monkeypatch.setattr(type(path), 'open', lambda *args: Full(open_file(*args)))
    with pytest.raises(OSError, match='No space left'):
        write_atomically(path, lambda file: torch.save(torch.ones(1000), file))
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


def test_killed_while_writing_the_old_content_is_there(tmp_path):
    path = tmp_path / 'a.bin'
    path.write_bytes(b'old')
    child = os.fork()
    if child == 0:

        def write_slowly(file) -> None:
            for _ in range(1000):
                file.write(b'new' * 100_000)
                time.sleep(0.01)

        write_atomically(path, write_slowly)
        os._exit(0)
    partial = tmp_path / f'.a.bin{PARTIAL}'
    while not (partial.exists() and partial.stat().st_size > 300_000):
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert path.read_bytes() == b'old'
    assert remove_partial(tmp_path) == [partial.name]
    assert os.listdir(tmp_path) == ['a.bin']


def test_only_half_written_files_are_removed(tmp_path):
    for name in ('a.pth', f'b{PARTIAL}', '.hidden'):
        (tmp_path / name).touch()
    assert remove_partial(tmp_path) == []
    assert len(os.listdir(tmp_path)) == 3
