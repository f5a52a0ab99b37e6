import io
import urllib.error
import urllib.request

import pytest

from freeanchor.datasets.errors import BrokenImageError
from freeanchor.inference import download

ADDRESS = 'https://example.org/a.jpg'


@pytest.fixture
def web(monkeypatch):
    """Lets every request be answered by what the test puts in."""
    answers = []

    def answer(opener, request, timeout):
        assert timeout
        found = answers.pop()
        if isinstance(found, Exception):
            raise found
        return io.BytesIO(found)

    monkeypatch.setattr(urllib.request.OpenerDirector, 'open', answer)
    return answers


def test_an_image_comes_as_it_is(web):
    web.append(b'pixels')
    assert download.download_image(ADDRESS) == b'pixels'


def test_a_failure_names_the_address(web):
    web.append(urllib.error.URLError('no route'))
    with pytest.raises(BrokenImageError, match=r'example\.org/a\.jpg.*no route'):
        download.download_image(ADDRESS)


def test_a_file_without_end_is_not_read(web, monkeypatch):
    monkeypatch.setattr(download, '_MAX_BYTES', 1 << 20)
    web.append(bytes((1 << 20) + 1))
    with pytest.raises(BrokenImageError, match='larger than 1 MB'):
        download.download_image(ADDRESS)


def test_only_https_is_followed():
    with pytest.raises(BrokenImageError, match='only https'):
        download.download_image('http://example.org/a.jpg')
    request = urllib.request.Request(ADDRESS)
    handler = download._HttpsOnly()
    for target in ('http://example.org/b.jpg', 'file:///etc/passwd'):
        with pytest.raises(BrokenImageError, match='only https'):
            handler.redirect_request(request, io.BytesIO(), 302, 'Found', {}, target)
