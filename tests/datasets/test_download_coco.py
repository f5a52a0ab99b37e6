"""The tool that gets COCO, against a small server on this machine."""

import hashlib
import importlib.util
import io
import re
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools/data/download_coco.py'
WANTED = {'val2017/1.jpg': b'one' * 5000, 'val2017/2.jpg': b'two' * 5000}


def packed(members: dict[str | zipfile.ZipInfo, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as file:
        for name, value in members.items():
            file.writestr(name, value)
    return content.getvalue()


class _Server(HTTPServer):
    content = packed({**WANTED, 'other/3.jpg': b'three'})
    ranges = True
    limit = 10**9  # bytes of an answer before the connection breaks
    asked: list[str | None]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        asked = self.headers['Range']
        self.server.asked.append(asked)
        start = int(re.findall(r'\d+', asked)[0]) if self.server.ranges else 0
        rest = self.server.content[start:]
        self.send_response(206 if self.server.ranges else 200)
        self.send_header('Content-Length', str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.server.limit])

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server():
    with _Server(('127.0.0.1', 0), _Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def tool(monkeypatch):
    """The tool, with one small archive in place of COCO's three."""
    spec = importlib.util.spec_from_file_location('download_coco', TOOL)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look there
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.time, 'sleep', lambda _: None)
    monkeypatch.setattr(module, 'ARCHIVES', (archive(module, _Server.content),))
    return module


def archive(tool, content: bytes):
    digest = hashlib.md5(content).hexdigest()
    return tool.Archive('zips/val2017.zip', len(content), digest, ('val2017/',))


@pytest.fixture
def run(tool, server, tmp_path):
    url = f'http://127.0.0.1:{server.server_port}'

    def run(*args: str) -> int:
        return tool.main(['--run', '--server', url, '--root', str(tmp_path), *args])

    return run


def found(root: Path) -> dict[str, bytes]:
    files = [x for x in root.rglob('*') if x.is_file() and x.name[0] != '.']
    return {str(x.relative_to(root)): x.read_bytes() for x in files}


def test_without_run_it_prints_the_steps_and_does_nothing(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location('download_coco', TOOL)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    assert module.main([]) == 0
    printed = capsys.readouterr().out
    for line in (
        'http://images.cocodataset.org/zips/train2017.zip',
        '19.3 GB',
        'data/coco/annotations/instances_val2017.json',
        '--run',
    ):
        assert line in printed
    assert not list(tmp_path.iterdir())


def test_it_gets_what_is_wanted_and_removes_the_archive(run, tmp_path):
    assert run() == 0
    assert found(tmp_path) == WANTED


def test_the_archive_can_be_kept(run, tmp_path):
    assert run('--keep-zips') == 0
    assert found(tmp_path) == {**WANTED, 'val2017.zip': _Server.content}


def test_what_is_there_is_not_fetched_again(run, server, capsys):
    run()
    count = len(server.asked)
    assert run() == 0
    assert len(server.asked) == count
    assert 'unpacked already' in capsys.readouterr().out


def test_an_archive_that_was_put_there_is_used(run, server, tmp_path):
    (tmp_path / 'val2017.zip').write_bytes(_Server.content)
    assert run() == 0
    assert found(tmp_path) == WANTED
    assert not server.asked


def test_a_broken_download_goes_on_where_it_ended(run, server, tmp_path):
    server.limit = 20_000
    assert run() == 0
    assert found(tmp_path) == WANTED
    assert server.asked == ['bytes=0-', 'bytes=20000-']


def test_a_later_run_goes_on_too(run, server, tmp_path):
    (tmp_path / 'val2017.zip.part').write_bytes(_Server.content[:1234])
    assert run() == 0
    assert found(tmp_path) == WANTED
    assert server.asked == ['bytes=1234-']


def test_a_server_that_cannot_go_on_begins_anew(run, server, tmp_path):
    server.ranges = False
    (tmp_path / 'val2017.zip.part').write_bytes(b'x' * 1234)
    assert run() == 0
    assert found(tmp_path) == WANTED


def test_a_damaged_archive_is_not_unpacked(run, tmp_path, capsys):
    damaged = _Server.content[:-1] + b'x'
    (tmp_path / 'val2017.zip').write_bytes(damaged)
    assert run() == 1
    assert set(found(tmp_path)) == {'val2017.zip'}
    assert 'delete it and run this again' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['val2017/../../escaped', 'val2017//../../escaped'])
def test_nothing_is_unpacked_outside_the_folder(tool, run, tmp_path, monkeypatch, name):
    content = packed({name: b'boo'})
    monkeypatch.setattr(tool, 'ARCHIVES', (archive(tool, content),))
    root = tmp_path / 'coco'
    root.mkdir()
    (root / 'val2017.zip').write_bytes(content)
    assert run('--root', str(root)) == 1
    assert set(found(tmp_path)) == {'coco/val2017.zip'}


def test_a_link_in_the_archive_is_unpacked_as_a_file(tool, run, tmp_path, monkeypatch):
    link = zipfile.ZipInfo('val2017/link.jpg')
    link.external_attr = 0o120777 << 16
    content = packed({link: b'/etc/passwd'})
    monkeypatch.setattr(tool, 'ARCHIVES', (archive(tool, content),))
    (tmp_path / 'val2017.zip').write_bytes(content)
    assert run() == 0
    path = tmp_path / 'val2017/link.jpg'
    assert not path.is_symlink()
    assert path.read_bytes() == b'/etc/passwd'


def test_nothing_is_unpacked_through_a_link(tool, run, tmp_path, capsys):
    root, outside = tmp_path / 'coco', tmp_path / 'outside'
    root.mkdir()
    outside.mkdir()
    (root / 'val2017').symlink_to(outside)
    assert run('--root', str(root)) == 1
    assert 'lies outside' in capsys.readouterr().err
    assert not list(outside.iterdir())


def test_an_absolute_name_is_refused(tool, tmp_path):
    with pytest.raises(tool.StepError, match="'/etc/passwd', which lies outside"):
        tool.inside(tmp_path, '/etc/passwd')


def test_without_a_network_it_says_what_to_do(tool, tmp_path, capsys):
    # Port 9 of this machine: nobody listens.
    args = ['--run', '--server', 'http://127.0.0.1:9', '--root', str(tmp_path)]
    assert tool.main(args) == 1
    error = capsys.readouterr().err
    assert 'cannot download http://127.0.0.1:9/zips/val2017.zip' in error
    assert 'check the network' in error
    assert 'Traceback' not in error


def test_a_full_disk_is_noticed_first(tool, run, server, monkeypatch, capsys):
    usage = type('Usage', (), dict(free=100))
    monkeypatch.setattr(tool.shutil, 'disk_usage', lambda _: usage)
    assert run() == 1
    assert 'make room' in capsys.readouterr().err
    assert not server.asked
