"""An image from the web, of a size that can be borne."""

import http.client
import urllib.request
from typing import IO, Any

from freeanchor.datasets.errors import BrokenImageError

_TIMEOUT = 30  # seconds without an answer
_MAX_BYTES = 100 << 20
_AGENT = 'Mozilla/5.0 (compatible; freeanchor)'  # some sites refuse Python's own


def download_image(url: str) -> bytes:
    """The file at ``url``, 100 MB at most.

    Raises:
        BrokenImageError: The URL is not https, or leads elsewhere, or nothing came.
    """
    if not url.startswith('https://'):
        raise _unusable(url, 'only https:// is followed')
    try:
        opener = urllib.request.build_opener(_HttpsOnly)
        request = urllib.request.Request(url, headers={'User-Agent': _AGENT})
        with opener.open(request, timeout=_TIMEOUT) as answer:
            content = answer.read(_MAX_BYTES + 1)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _unusable(url, str(error) or type(error).__name__) from error
    if len(content) > _MAX_BYTES:
        raise _unusable(url, f'the file is larger than {_MAX_BYTES >> 20} MB')
    return content


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        if not newurl.startswith('https://'):
            raise _unusable(newurl, 'only https:// is followed')
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _unusable(url: str, reason: str) -> BrokenImageError:
    return BrokenImageError(
        f"the image '{url}' cannot be downloaded: {reason}. Look at the address in a "
        'browser, or save the file and give its path',
        url,
        reason,
    )
