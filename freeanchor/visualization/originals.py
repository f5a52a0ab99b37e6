"""The images as they were before a pipeline changed them."""

import cv2
import mmcv
import numpy as np
from mmengine import fileio
from mmengine.structures import BaseDataElement

# As a camera held it, and else as the pixels are stored.
_ORIENTATIONS = ('color', 'color_ignore_orientation')


def read_picture(path: str, shape: tuple[int, int] | None = None) -> np.ndarray:
    """An image as its boxes are annotated.

    Args:
        path: Of the file.
        shape: Height and width that it should have: a photograph that a camera
            marks as turned is turned only if it then has them.

    Returns:
        ``(H, W, 3)`` uint8 RGB.

    Raises:
        OSError: It cannot be read, or has another size.
    """
    content = fileio.get(path)
    for flag in _ORIENTATIONS:
        try:
            image = mmcv.imfrombytes(content, flag=flag, channel_order='rgb')
        except cv2.error:
            image = None
        if image is not None and shape in (None, image.shape[:2]):
            return image
    wanted = '' if shape is None else f', or not of {shape[1]} x {shape[0]} pixels'
    raise OSError(f'{path} is damaged or no image{wanted}')


def original_of(sample: BaseDataElement) -> np.ndarray:
    """The original image of a sample, ``(H, W, 3)`` uint8 RGB.

    Raises:
        OSError: It cannot be read.
    """
    return read_picture(sample.img_path, tuple(sample.ori_shape[:2]))
