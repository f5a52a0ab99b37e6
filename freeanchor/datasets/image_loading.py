"""The step of a pipeline that reads an image, from a file nobody has vouched for."""

from typing import Any

import mmcv
import numpy as np
from mmcv import transforms
from mmengine import fileio

from freeanchor.registry import TRANSFORMS

from .errors import BrokenImageError, DataError, MissingImageError
from .image_header import HeaderError, claims_too_much, read_header

MAX_PIXELS = 100_000_000


@TRANSFORMS.register_module()
class LoadImageFromFile(transforms.LoadImageFromFile):
    """MMCV's, which trusts neither a file nor its rotation.

    The header is read before a decoder sees the file: it must be of a common
    format (JPEG, PNG, WebP, BMP, GIF, TIFF, AVIF, PNM) and not too large.

    A camera notes (EXIF) how it was held, and the image is turned upright when it
    is read. Where the annotation file has the size of the image as stored, it is
    left as it is: that is what was annotated.

    Args:
        max_pixels: The most pixels an image may have. One that claims a billion in
            100 kB takes the memory of all of them.
        kwargs: See :class:`mmcv.transforms.LoadImageFromFile`.

    Raises:
        MissingImageError: There is no such file.
        BrokenImageError: The file cannot be read or decoded, or is too large.
        DataError: The image has another size than the annotation file says, so
            its boxes belong elsewhere.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_pixels = max_pixels

    def transform(self, results: dict) -> dict | None:
        try:
            content = self._read(results['img_path'])
            image = self.decode(results, content)
        except BrokenImageError:
            if self.ignore_empty:
                return None
            raise
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        check_size(results)
        return results

    def _read(self, path: str) -> bytes:
        try:
            if self.file_client_args is not None:
                client = fileio.FileClient.infer_client(self.file_client_args, path)
                return client.get(path)
            return fileio.get(path, backend_args=self.backend_args)
        except FileNotFoundError as error:
            raise MissingImageError(
                f"there is no image '{path}': compare data_prefix.img_path of the data "
                "set and 'file_name' in the annotation file with the folder",
                path,
                'missing',
            ) from error
        except OSError as error:  # no permission, a folder, a disk that fails
            reason = error.strerror or str(error)
            raise BrokenImageError(
                f"the image '{path}' cannot be read ({reason}): make it a readable "
                'file, or remove it from the annotation file',
                path,
                reason,
            ) from error

    def decode(self, results: dict, content: bytes) -> np.ndarray:
        """The pixels of a file that has been read, BGR, upright.

        Args:
            results: ``img_path``, its name for messages; ``width`` and ``height``
                where an annotation file knows them.
            content: The file.

        Raises:
            BrokenImageError: It cannot be decoded, or is too large.
        """
        path = results['img_path']
        check_header(path, content, self.max_pixels)
        image = self._pixels(path, content, self.color_type)
        turnable = self.color_type in ('color', 'grayscale')
        if turnable and _is_turned(results, image):
            stored = self._pixels(
                path, content, f'{self.color_type}_ignore_orientation'
            )
            if not _is_turned(results, stored):
                return stored
        return image

    def _pixels(self, path: str, content: bytes, color_type: str) -> np.ndarray:
        try:
            image = mmcv.imfrombytes(
                content, flag=color_type, backend=self.imdecode_backend
            )
        except Exception as error:  # each backend has its own
            raise _undecodable(path, 'its pixels cannot be decoded') from error
        if image is None:
            raise _undecodable(path, 'its pixels cannot be decoded')
        return image


def check_header(path: str, content: bytes, max_pixels: int) -> None:
    """Refuse what no decoder should see.

    Args:
        path: Of the image, for the message.
        content: The file.
        max_pixels: The most pixels it may have.

    Raises:
        BrokenImageError: No common format, too large, or a part of it claims to be.
    """
    try:
        header = read_header(content)
    except HeaderError as error:
        raise _undecodable(path, str(error)) from error
    if claims_too_much(content, header):
        raise _undecodable(path, 'a part of it says it is longer than the file')
    if header.pixels > max_pixels:
        size = f'{header.width} x {header.height}'
        raise BrokenImageError(
            f"the image '{path}' says it is {size} pixels, over max_pixels="
            f'{max_pixels}: remove it from the annotation file, or raise max_pixels of '
            'LoadImageFromFile if it is what it says',
            path,
            f'{size} pixels, too many',
        )


def check_size(results: dict) -> None:
    """Refuse an image that its annotations were not made for.

    Args:
        results: ``ori_shape`` (height, width), and where the image is of an
            annotation file ``width`` and ``height``, all in pixels.

    Raises:
        DataError: They differ.
    """
    height, width = results['ori_shape']
    annotated = (results.get('width', width), results.get('height', height))
    if (width, height) != annotated:
        raise DataError(
            f"the image '{results['img_path']}' is {width} x {height} pixels, but its "
            f'annotations are for {annotated[0]} x {annotated[1]}: correct width and '
            'height in the annotation file, or bring back the image that was annotated'
        )


def _is_turned(results: dict, image: np.ndarray) -> bool:
    """Whether the image lies on its side, by the annotated size."""
    height, width = image.shape[:2]
    annotated = (results.get('width'), results.get('height'))
    return width != height and annotated == (height, width)


def _undecodable(path: str, reason: str) -> BrokenImageError:
    return BrokenImageError(
        f"the image '{path}' cannot be decoded: {reason}. It may be cut short, or no "
        'image at all; replace it, or remove it from the annotation file',
        path,
        reason,
    )
