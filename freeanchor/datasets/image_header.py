"""The size of an image, from the first bytes of its file.

A file of 100 kB may claim a billion pixels. Its header says so before a decoder
asks for the memory. Only formats that are read here are decoded at all: rare ones
have decoders that few have tried to break.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from .exif import orientation_of

HEADER_BYTES = 1 << 18  # of a file; a header that is longer is looked for in all
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of a JPEG's size
_ALONE = {0x01, *range(0xD0, 0xD8)}  # JPEG markers that nothing belongs to


class HeaderError(ValueError):
    """Bytes that do not begin like an image, with the reason in a few words."""


@dataclass(frozen=True)
class ImageHeader:
    """What a file says of its image.

    ``width`` and ``height`` are in pixels, as stored: an ``orientation`` of 5 to 8
    (EXIF) exchanges them when the image is shown. ``depth`` is bits per value, 0
    where it was not looked for. ``data`` is where the pixels begin, in bytes.
    """

    format: str
    width: int
    height: int
    orientation: int = 1
    depth: int = 0
    data: int = 0

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height as shown."""
        size = (self.width, self.height)
        return size if self.orientation < 5 else size[::-1]


def read_header(content: bytes) -> ImageHeader:
    """Reads format and size.

    Args:
        content: A file, or its beginning.

    Raises:
        HeaderError: No format that is known, or the header is cut or senseless.
    """
    for signature, read in _READERS:
        if signature.match(content):
            try:
                header = read(content)
            except (struct.error, IndexError) as error:
                raise HeaderError('its header is cut short') from error
            if header.pixels < 1:
                raise HeaderError('its header says it has no pixels')
            return header
    raise HeaderError(_what_it_is(content))


def ends_early(content: bytes, header: ImageHeader) -> bool:
    """Whether the end of a JPEG or a PNG is missing; False for other formats.

    Args:
        content: The whole file, or its end.
        header: Of that file.
    """
    if header.format == 'JPEG':
        # Within the pixels a zero follows each 0xff. Bytes after the end are usual.
        return content.rfind(b'\xff\xd9', min(header.data, len(content))) < 0
    return header.format == 'PNG' and content.rfind(b'IEND') < 0


def claims_too_much(content: bytes, header: ImageHeader) -> bool:
    """Whether a part of a PNG says it is longer than the file; else False.

    Some decoders ask for that memory, up to 2 GB, before they read the part.

    Args:
        content: The whole file.
        header: Of that file.
    """
    if header.format != 'PNG':
        return False
    position, kind = 8, b''
    while kind != b'IEND' and position + 8 <= len(content):
        length, kind = struct.unpack_from('>I4s', content, position)
        if position + 8 + length > len(content):
            return True
        position += length + 12
    return False


def _what_it_is(content: bytes) -> str:
    if not content:
        return 'it is empty'
    start = content[:256].lstrip().lower()
    if start.startswith((b'<!doctype', b'<html', b'<?xml')):
        return 'it is a web page or other text and no image'
    return (
        'it is no image in a format that is read (JPEG, PNG, WebP, BMP, GIF, TIFF, '
        'AVIF, PNM)'
    )


def _jpeg(content: bytes) -> ImageHeader:
    position, orientation = 2, 1
    while True:
        if content[position] != 0xFF:
            raise HeaderError('its header is damaged')
        while content[position] == 0xFF:  # any number may stand before a marker
            position += 1
        marker = content[position]
        position += 1
        if marker in _ALONE:
            continue
        if marker in (0xD9, 0xDA):
            raise HeaderError('its header names no size')
        (length,) = struct.unpack_from('>H', content, position)
        if length < 2:
            raise HeaderError('its header is damaged')
        if marker in _FRAMES:
            depth, height, width = struct.unpack_from('>BHH', content, position + 2)
            end = position + length
            return ImageHeader('JPEG', width, height, orientation, depth, end)
        if marker == 0xE1 and content.startswith(b'Exif\0\0', position + 2):
            orientation = orientation_of(content[position + 8 : position + length])
        position += length


def _png(content: bytes) -> ImageHeader:
    if content[12:16] != b'IHDR':
        raise HeaderError('its header is damaged')
    width, height, depth = struct.unpack_from('>IIB', content, 16)
    orientation, position = 1, 33
    while position + 8 <= len(content):
        (length,) = struct.unpack_from('>I', content, position)
        kind = content[position + 4 : position + 8]
        if kind in (b'IDAT', b'IEND'):
            break
        if kind == b'eXIf':
            orientation = orientation_of(content[position + 8 : position + 8 + length])
        position += length + 12
    return ImageHeader('PNG', width, height, orientation, depth, position)


def _webp(content: bytes) -> ImageHeader:
    kind = content[12:16]
    if kind == b'VP8 ':
        width, height = struct.unpack_from('<HH', content, 26)
        return ImageHeader('WebP', width & 0x3FFF, height & 0x3FFF)
    if kind == b'VP8L':
        (bits,) = struct.unpack_from('<I', content, 21)
        return ImageHeader('WebP', (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b'VP8X':
        low_w, high_w, low_h, high_h = struct.unpack_from('<HBHB', content, 24)
        return ImageHeader(
            'WebP', (high_w << 16 | low_w) + 1, (high_h << 16 | low_h) + 1
        )
    raise HeaderError('its header is damaged')


def _bmp(content: bytes) -> ImageHeader:
    (size,) = struct.unpack_from('<I', content, 14)
    if size == 12:
        width, height = struct.unpack_from('<HH', content, 18)
    else:
        # A negative height: the first row is the upper one.
        width, height = struct.unpack_from('<ii', content, 18)
    return ImageHeader('BMP', abs(width), abs(height))


def _gif(content: bytes) -> ImageHeader:
    return ImageHeader('GIF', *struct.unpack_from('<HH', content, 6))


def _tiff(content: bytes) -> ImageHeader:
    order = '<' if content[:2] == b'II' else '>'
    (start,) = struct.unpack_from(order + 'I', content, 4)
    (count,) = struct.unpack_from(order + 'H', content, start)
    found = {}
    for i in range(count):
        tag, kind = struct.unpack_from(order + 'HH', content, start + 2 + 12 * i)
        value = 'H' if kind == 3 else 'I'
        (found[tag],) = struct.unpack_from(order + value, content, start + 10 + 12 * i)
    if not {256, 257} <= found.keys():
        raise HeaderError('its header names no size')
    orientation = found.get(274, 1)
    return ImageHeader(
        'TIFF', found[256], found[257], orientation if orientation in range(9) else 1
    )


def _avif(content: bytes) -> ImageHeader:
    sizes = [
        struct.unpack_from('>II', content, match.end() + 4)
        for match in re.finditer(b'ispe', content[:HEADER_BYTES])
    ]
    if not sizes:
        raise HeaderError('its header names no size')
    # One box each for parts and for the whole, which is the largest.
    return ImageHeader('AVIF', *max(sizes, key=lambda size: size[0] * size[1]))


def _pnm(content: bytes) -> ImageHeader:
    text = re.sub(rb'#[^\n]*', b'', content[2:1024])
    numbers = re.match(rb'\s+(\d{1,9})\s+(\d{1,9})\s', text)
    if not numbers:
        raise HeaderError('its header is damaged')
    return ImageHeader('PNM', int(numbers[1]), int(numbers[2]))


_READERS: list[tuple[re.Pattern[bytes], Callable[[bytes], ImageHeader]]] = [
    (re.compile(signature, re.DOTALL), read)
    for signature, read in (
        (rb'\xff\xd8\xff', _jpeg),
        (rb'\x89PNG\r\n\x1a\n', _png),
        (rb'RIFF....WEBP', _webp),
        (rb'BM', _bmp),
        (rb'GIF8[79]a', _gif),
        (rb'II\*\0|MM\0\*', _tiff),
        (rb'....ftyp(avif|avis)', _avif),
        (rb'P[1-6]\s', _pnm),
    )
]
