"""Images as people have them: files, folders, globs, URLs, bytes, arrays."""

import glob
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image, ImageOps

from freeanchor.engine import ConfigError

_SUFFIXES = 'avif bmp gif jfif jpeg jpg pgm png pnm ppm tif tiff webp'
IMAGE_SUFFIXES = frozenset(f'.{x}' for x in _SUFFIXES.split())
_URL = ('https://', 'http://')
_WILD = frozenset('*?[')

OneImage: TypeAlias = str | Path | bytes | np.ndarray | Image.Image
Images: TypeAlias = OneImage | Iterable[OneImage]


@dataclass(frozen=True)
class ImageSource:
    """One image that has not been decoded.

    Args:
        name: For messages and results; of a file its path.
        content: A file's path, a URL (a text), what a file holds, or an array
            ``(H, W, 3)`` uint8 BGR.
    """

    name: str
    content: str | Path | bytes | np.ndarray


def find_images(images: Images) -> list[ImageSource]:
    """What ``images`` names, each image once, files of a folder by name.

    Args:
        images: The path of a file; a folder, of which the images directly in it are
            taken; a glob, in which ``**`` stands for folders of any depth; an
            https URL; the bytes of a file; an array ``(H, W)``, ``(H, W, 3)`` or
            ``(H, W, 4)`` uint8 in OpenCV's order, which is BGR; a PIL image; or
            several of these.

    Raises:
        FileNotFoundError: A file, or an image in a folder or of a glob, is not
            there.
        ConfigError: Something is no image of these kinds.
    """
    one = str | Path | bytes | bytearray | np.ndarray | Image.Image
    several: Iterable[Any] = [images] if isinstance(images, one) else images
    numbers = count(1)
    found: dict[Any, ImageSource] = {}
    for image in several:
        for source in _expanded(image, numbers):
            in_memory = isinstance(source.content, bytes | np.ndarray)
            found.setdefault(source.name if in_memory else source.content, source)
    return list(found.values())


def _expanded(image: Any, numbers: Iterator[int]) -> list[ImageSource]:
    if isinstance(image, str) and image.startswith(_URL):
        return [ImageSource(image, image)]
    if isinstance(image, str | Path):
        return [ImageSource(str(path), path) for path in _files(str(image))]
    name = f'image {next(numbers)}'
    if isinstance(image, bytes | bytearray | memoryview):
        return [ImageSource(name, bytes(image))]
    if isinstance(image, Image.Image):
        name = getattr(image, 'filename', '') or name
        return [ImageSource(name, _from_pillow(image))]
    if isinstance(image, np.ndarray):
        return [ImageSource(name, _from_array(image, name))]
    raise ConfigError(
        f'{name} is a {type(image).__name__}: give a path, a folder, a glob, an https '
        'URL, bytes, a uint8 array (BGR) or a PIL image'
    )


def _files(name: str) -> list[Path]:
    path = Path(name).expanduser()
    if path.is_dir():
        files = _images_among(path.iterdir())
        if not files:
            raise FileNotFoundError(
                f'there is no image directly in {path}: for those in folders below '
                f"it, give the glob '{path}/**'"
            )
        return files
    if path.exists() or not _WILD & set(name):
        if not path.exists():
            raise FileNotFoundError(f'there is no image, folder or glob {name}')
        return [path]
    files = _images_among(map(Path, glob.iglob(str(path), recursive=True)))
    if not files:
        raise FileNotFoundError(f'no image is matched by {name}')
    return files


def _images_among(paths: Iterable[Path]) -> list[Path]:
    return sorted(
        path
        for path in paths
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith('.')
        and path.is_file()
    )


def _from_pillow(image: Image.Image) -> np.ndarray:
    upright = ImageOps.exif_transpose(image)
    rgb = np.asarray(upright.convert('RGB'))
    return np.ascontiguousarray(rgb[..., ::-1])


def _from_array(image: np.ndarray, name: str) -> np.ndarray:
    """``(H, W, 3)``, of grey the value three times, without transparency."""
    grey = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 1)
    colours = 1 if grey else image.shape[-1]
    if (
        image.dtype != np.uint8
        or image.ndim not in (2, 3)
        or colours not in (1, 3, 4)
        or not image.size
    ):
        raise ConfigError(
            f'{name} is an array {image.shape} {image.dtype}: give (height, width, 3) '
            'uint8 in BGR order, or a PIL image'
        )
    if grey:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(image[..., :3])
