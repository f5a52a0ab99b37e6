"""Image files with faults, made byte by byte."""

import struct
import zlib

import cv2
import numpy as np


def picture(width: int = 80, height: int = 60) -> np.ndarray:
    """Noise, so that a JPEG of it is long."""
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3))
    return values.astype(np.uint8)


def encoded(kind: str, width: int = 80, height: int = 60) -> bytes:
    """A sound file; ``kind`` is an extension that OpenCV knows."""
    return cv2.imencode(f'.{kind}', picture(width, height))[1].tobytes()


def with_orientation(jpeg: bytes, orientation: int, order: str = '<') -> bytes:
    """A JPEG with a note (EXIF) of how the camera was held."""
    mark = b'II*\0' if order == '<' else b'MM\0*'
    notes = mark + struct.pack(
        order + 'IHHHIHHI', 8, 1, 0x0112, 3, 1, orientation, 0, 0
    )
    body = b'Exif\0\0' + notes
    return jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(body) + 2) + body + jpeg[2:]


def with_long_part(kind: bytes = b'IDAT') -> bytes:
    """A PNG of which one part says it is 2 GB long."""
    content = bytearray(encoded('png'))
    content[content.index(kind) - 4] |= 0x7F
    return bytes(content)


def bomb(side: int = 30_000) -> bytes:
    """A PNG of a few kB that says it has ``side`` x ``side`` pixels."""
    row = b'\0' * (1 + side // 8)
    header = struct.pack('>IIBBBBB', side, side, 1, 0, 0, 0, 0)
    parts = ((b'IHDR', header), (b'IDAT', zlib.compress(row * 8, 9)), (b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        struct.pack('>I', len(data))
        + kind
        + data
        + struct.pack('>I', zlib.crc32(kind + data))
        for kind, data in parts
    )
