"""A name of published weights becomes a file whose bytes are those published."""

import hashlib
import http.server
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest
import torch
from mmengine.runner.checkpoint import get_external_models

from freeanchor.engine import CheckpointError, read_checkpoint, weights
from freeanchor.engine.weights import check_digest, fetch, local_file, published_url
from tests.processes import run_on_processes

# The fork onedl-mmengine has moved the files to a host of its own.
HOST = urlparse(get_external_models()['resnext101_32x4d']).netloc
OPENMMLAB = f'https://{HOST}'
CONTENT = b'weights ' * 1000
NAME = f'net-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth'


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    return tmp_path / 'hub' / 'checkpoints'


class _Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith('/gone'):
            return self.send_error(404)
        if self.path.startswith('/moved'):
            self.send_response(302)
            self.send_header('Location', f'/{NAME}')
            return self.end_headers()
        self.send_response(200)
        self.send_header('Content-Length', str(len(CONTENT)))
        self.end_headers()
        cut = self.path.startswith('/cut')
        self.wfile.write(CONTENT[:100] if cut else CONTENT)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), _Server) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f'http://127.0.0.1:{running.server_port}'
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ('name', 'url'),
    [
        (
            'torchvision://resnet50',
            'https://download.pytorch.org/models/resnet50-0676ba61.pth',
        ),
        (
            'torchvision://resnet50.imagenet1k_v2',
            'https://download.pytorch.org/models/resnet50-11ad3fa6.pth',
        ),
        (
            'open-mmlab://resnext101_32x4d',
            f'{OPENMMLAB}/pretrain/third_party/resnext101_32x4d-a5af3160.pth',
        ),
        (
            'open-mmlab://detectron2/resnet50_caffe',
            f'{OPENMMLAB}/pretrain/third_party/resnet50_msra-5891d200.pth',
        ),
        ('https://example.org/a/net.pth?x=1', 'https://example.org/a/net.pth?x=1'),
    ],
)
def test_a_name_stands_for_a_url(name, url):
    assert published_url(name) == url


def test_a_mistyped_name_gets_the_nearest():
    with pytest.raises(CheckpointError, match=r"did you mean 'resnet50'\?"):
        published_url('torchvision://resnet5O')


def test_plain_http_is_refused():
    with pytest.raises(CheckpointError, match='over https only'):
        published_url('http://example.org/net.pth')


def test_a_redirect_to_plain_http_is_refused(server, hub):
    with pytest.raises(CheckpointError, match='over https only'):
        fetch(f'{server}/moved/net.pth')
    assert files(hub) == []


def files(folder: Path) -> list[Path]:
    return [x for x in folder.rglob('*') if x.is_file()]


def test_files_lie_where_torch_hub_puts_them(hub):
    assert local_file(f'https://example.org/a/{NAME}?x=1') == hub / NAME
    assert Path(torch.hub.get_dir()) / 'checkpoints' == hub


@pytest.mark.parametrize('name', ['net.pth', 'net-20200130.pth'])
def test_two_urls_share_no_file_whose_name_has_no_digest(name, hub):
    first = local_file(f'https://example.org/a/{name}')
    others = [
        local_file(f'https://example.org/b/{name}'),
        local_file(f'https://example.org/a/{name}?x=1'),
    ]
    assert first not in others
    assert first == local_file(f'https://example.org/a/{name}')
    assert all(x.name == name and hub in x.parents for x in [first, *others])


def test_each_of_two_urls_with_one_name_is_downloaded(server, hub):
    paths = [fetch(f'{server}/{folder}/net.pth') for folder in 'ab']
    assert paths[0] != paths[1]
    assert [x.read_bytes() for x in paths] == [CONTENT, CONTENT]


def test_a_download_is_kept_under_its_name(server, hub, monkeypatch):
    assert fetch(f'{server}/{NAME}') == hub / NAME
    assert (hub / NAME).read_bytes() == CONTENT
    assert list(hub.iterdir()) == [hub / NAME]


def test_a_file_that_is_there_is_not_downloaded(hub, monkeypatch):
    monkeypatch.setattr(urllib.request, 'build_opener', None)
    hub.mkdir(parents=True)
    (hub / NAME).write_bytes(CONTENT)
    assert fetch(f'https://example.org/{NAME}') == hub / NAME


def test_bytes_that_are_not_the_published_ones_are_refused(server, hub):
    with pytest.raises(CheckpointError, match='not the file that its name says'):
        fetch(f'{server}/net-00000000.pth')
    assert list(hub.iterdir()) == []


def test_a_damaged_file_put_there_by_hand_is_refused(hub):
    hub.mkdir(parents=True)
    (hub / NAME).write_bytes(CONTENT[:-1])
    with pytest.raises(CheckpointError, match=r'Delete it.*example\.org'):
        fetch(f'https://example.org/{NAME}')


@pytest.mark.parametrize('path', ['gone/net.pth', 'cut/net.pth'])
def test_a_failed_download_says_which_file_to_put_where(path, server, hub):
    url = f'{server}/{path}'
    with pytest.raises(CheckpointError) as caught:
        fetch(url)
    assert url in str(caught.value)
    assert str(local_file(url)) in str(caught.value)
    assert files(hub) == []


def test_without_a_network_the_file_and_its_place_are_named(hub, monkeypatch):
    def unreachable(*args: object, **kwargs: object) -> None:
        raise OSError('Name or service not known')

    monkeypatch.setattr(weights, '_copy', unreachable)
    with pytest.raises(CheckpointError) as caught:
        fetch(published_url('torchvision://resnet50'))
    assert 'https://download.pytorch.org/models/resnet50-0676ba61' in str(caught.value)
    assert str(hub / 'resnet50-0676ba61.pth') in str(caught.value)


@pytest.mark.parametrize(
    'name',
    [
        'net-{0}.pth',
        'faster_rcnn-20200130-{0}.pth',
        'net-{1}.safetensors',
        'net.pth',
        'net-20200130.pth',
        'net-r50.pth',
        'net-deadbee.pth',
        'deadbeef.pth',
        'net_deadbeef.pth',
    ],
)
def test_the_name_of_a_local_file_is_no_lie(tmp_path, name):
    digest = hashlib.sha256(CONTENT).hexdigest()
    path = tmp_path / name.format(digest[:8], digest)
    path.write_bytes(CONTENT)
    check_digest(path)


@pytest.mark.parametrize(
    'name',
    [
        'net-deadbeef.pth',
        'faster_rcnn-20200130-deadbeef.pth',
        'net-20201340.pth',
        f'net-{"0" * 64}.safetensors',
    ],
)
def test_a_local_file_with_another_digest_in_its_name_is_not_read(
    tmp_path, name, monkeypatch
):
    path = tmp_path / name
    path.write_bytes(CONTENT)
    monkeypatch.setattr('freeanchor.engine.loading._read_pickle', None)
    monkeypatch.setattr('freeanchor.engine.loading._read_safetensors', None)
    with pytest.raises(CheckpointError, match='not the file that its name says'):
        read_checkpoint(path)


def _failure_of(rank: int, processes: int) -> str:
    try:
        fetch('https://127.0.0.1:9/net.pth')
    except CheckpointError as error:
        return str(error)
    return 'none'


def test_a_download_that_fails_fails_on_every_process(hub):
    first, second = run_on_processes(_failure_of, 2)
    assert 'could not be downloaded' in first
    assert second == first
