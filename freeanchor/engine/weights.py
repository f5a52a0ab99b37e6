"""Published weights: from a name to a URL to a verified file."""

import hashlib
import http.client
import os
import re
import shutil
import tempfile
import urllib.request
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlparse

import torch
from mmengine import dist
from mmengine.logging import print_log
from mmengine.runner.checkpoint import (
    get_deprecated_model_names,
    get_external_models,
    get_torchvision_models,
)

from .durable import sha256_of
from .naming import ConfigError, did_you_mean

# As in resnet50-0676ba61.pth: the first digits of the file's SHA-256.
_DIGEST = re.compile(r'-([0-9a-f]{8,64})\.\w+$')
# As in faster_rcnn-20200130.pth: no digest.
_DATE = re.compile(r'(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])')
_TIMEOUT = 30  # seconds without an answer


class CheckpointError(ConfigError):
    """A checkpoint that cannot be had or used; the message names the file."""


def published_url(name: str) -> str:
    """The https URL behind ``torchvision://NAME``, ``open-mmlab://NAME`` or a URL.

    Raises:
        CheckpointError: The name is unknown, or the URL is not https.
    """
    scheme, _, model = name.partition('://')
    if scheme in ('http', 'https'):
        return _https(name)
    if scheme in ('torchvision', 'modelzoo'):
        urls = get_torchvision_models()
    else:
        urls = get_external_models()
        model = get_deprecated_model_names().get(model, model)
    if model not in urls:
        raise CheckpointError(f'{name} is unknown: {did_you_mean(model, urls)}')
    return _https(urls[model])


def local_file(url: str) -> Path:
    """Where the file of ``url`` is kept: torch.hub's folder, moved by TORCH_HOME.

    A name without digits of a SHA-256 may stand for another file at another URL,
    so it lies in a folder named for its URL.
    """
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    name = Path(urlparse(url).path).name
    if _digits(Path(name)) is None:
        folder /= hashlib.sha256(url.encode()).hexdigest()[:16]
    return folder / name


def fetch(url: str) -> Path:
    """The local copy of ``url``, downloaded if it is not there yet.

    One process of each machine downloads, the others wait for it. The digits
    at the end of the file's name are compared with its SHA-256.

    Raises:
        CheckpointError: The download failed, or the file is not what its name says.
    """
    path = local_file(url)
    failure = ''
    if dist.get_rank() == 0 or _local_rank() == 0:
        failure = _why_not_there(url, path)
    # Who waits learns of a failure too; it would wait for its time limit.
    for found in dist.all_gather_object(failure):
        if found:
            raise CheckpointError(found)
    return path


def check_digest(path: Path) -> None:
    """Compare the digits at the end of a file's name with its SHA-256.

    Eight or more hexadecimal digits behind the last dash are those of a SHA-256,
    unless they are a date.

    Raises:
        CheckpointError: They differ.
    """
    _verify(path, path, 'it names there, or rename it if those are no such digits')


def _why_not_there(url: str, path: Path) -> str:
    """Have the file of ``url`` at ``path``; what went wrong, if something did."""
    try:
        if not path.is_file():
            _download(url, path)
        _verify(path, path, f'of {url} there')
    except Exception as error:
        return str(error) or type(error).__name__
    return ''


def _digits(path: Path) -> str | None:
    match = _DIGEST.search(path.name)
    return None if match is None or _DATE.fullmatch(match[1]) else match[1]


def _local_rank() -> int:
    return int(os.environ.get('LOCAL_RANK', '0'))


def _https(url: str) -> str:
    if not url.startswith('https://'):
        raise CheckpointError(
            f'{url} is refused: weights are downloaded over https only.'
        )
    return url


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        return super().redirect_request(req, fp, code, msg, headers, _https(newurl))


def _download(url: str, path: Path) -> None:
    """Write ``url`` to ``path``, whole and verified or not at all."""
    print_log(f'Downloading {url} to {path}', logger='current')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A folder of its own: whatever happens, nothing partial stays behind.
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            partial = Path(folder) / path.name
            _copy(url, partial)
            _verify(partial, path, f'of {url} there')
            partial.replace(path)
    except (OSError, http.client.HTTPException) as error:
        raise CheckpointError(
            f'{url} could not be downloaded ({error}). Download it elsewhere '
            f'and put the file here: {path}'
        ) from error


def _copy(url: str, path: Path) -> None:
    opener = urllib.request.build_opener(_HttpsOnly)
    with opener.open(url, timeout=_TIMEOUT) as answer, path.open('wb') as file:
        shutil.copyfileobj(answer, file)
        expected = answer.headers.get('Content-Length')
    size = path.stat().st_size
    if expected is not None and size != int(expected):
        raise ConnectionError(f'{size} of {expected} bytes came')


def _verify(content: Path, path: Path, source: str) -> None:
    """Compare ``content`` with the digits in the name of ``path``."""
    expected = _digits(path)
    if expected is None:
        return
    digest = sha256_of(content)[: len(expected)]
    if digest != expected:
        raise CheckpointError(
            f'{path} is not the file that its name says: its SHA-256 begins with '
            f'{digest}. Delete it, if it is there, and put the file {source}.'
        )
