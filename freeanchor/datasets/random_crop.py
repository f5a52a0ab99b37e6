"""A part of an image, chosen at random."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from freeanchor.registry import TRANSFORMS

_OF_OBJECTS = ('gt_bboxes', 'gt_bboxes_labels', 'gt_ignore_flags', 'gt_ann_ids')


@TRANSFORMS.register_module()
class RandomCrop(BaseTransform):
    """Cut a window out of an image, and its boxes at the window's edge.

    A side of the image that is shorter than the window stays whole. Objects
    outside are left out.

    Args:
        crop_size: Width and height of the window, pixels.
        allow_negative_crop: Keep a window without objects; otherwise another
            image takes its place.
    """

    def __init__(
        self, crop_size: Sequence[int], allow_negative_crop: bool = False
    ) -> None:
        if len(crop_size) != 2 or min(crop_size) < 1:
            raise ValueError(
                f'RandomCrop.crop_size={crop_size}: give width and height in pixels'
            )
        self.crop_size = tuple(crop_size)
        self.allow_negative_crop = allow_negative_crop

    def transform(self, results: dict) -> dict | None:
        height, width = results['img'].shape[:2]
        top = _place(height, self.crop_size[1])
        left = _place(width, self.crop_size[0])
        image = results['img'][
            top : top + self.crop_size[1], left : left + self.crop_size[0]
        ]
        results['img'], results['img_shape'] = image, image.shape[:2]
        if 'gt_bboxes' in results:
            boxes = results['gt_bboxes'] - np.array([left, top, left, top])
            limits = np.array(image.shape[1::-1])
            boxes = boxes.reshape(-1, 2, 2).clip(0, limits).reshape(-1, 4)
            inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            results['gt_bboxes'] = boxes.astype(np.float32)
            for key in _OF_OBJECTS:
                if key in results:
                    results[key] = results[key][inside]
            if not inside.any() and not self.allow_negative_crop:
                return None
        return results


def _place(length: int, window: int) -> int:
    return np.random.randint(0, max(length - window, 0) + 1)
