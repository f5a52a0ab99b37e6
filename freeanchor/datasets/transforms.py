"""The steps of a pipeline that know of detection; the others are MMCV's.

A pipeline reads as: ``LoadImageFromFile``, ``LoadAnnotations``, ``Resize``,
``RandomFlip``, ``PackDetInputs``. ``Resize`` (or ``RandomResize``,
``RandomChoiceResize``) also cuts boxes at the image's edge.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmcv import transforms
from mmengine.structures import BaseDataElement, InstanceData

from freeanchor.registry import TRANSFORMS

META_KEYS = (
    'img_id',
    'img_path',
    'ori_shape',
    'img_shape',
    'scale_factor',
    'flip',
    'flip_direction',
)
_FLIP_CODES = dict(horizontal=1, vertical=0, diagonal=-1)  # OpenCV's


@TRANSFORMS.register_module()
class LoadImageFromFile(transforms.LoadImageFromFile):
    """MMCV's, with errors that name the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file cannot be decoded.
    """

    def transform(self, results: dict) -> dict | None:
        path = results['img_path']
        try:
            return super().transform(results)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"there is no image '{path}': compare data_prefix.img_path of the data "
                "set and 'file_name' in the annotation file with the folder"
            ) from error
        except OSError:  # no permission, a folder: these name the path themselves
            raise
        except Exception as error:
            # OpenCV raises errors of its own, and MMCV asserts.
            raise ValueError(
                f"the image '{path}' cannot be decoded: it may be cut short, or no "
                'image at all; replace it, or remove it from the annotation file'
            ) from error


@TRANSFORMS.register_module()
class LoadAnnotations(transforms.LoadAnnotations):
    """Boxes as arrays: MMCV's, with the flags of ignored ones.

    Adds ``gt_bboxes`` ``(N, 4)`` float32 xyxy in pixels, ``gt_bboxes_labels``
    ``(N,)`` int64 and ``gt_ignore_flags`` ``(N,)`` bool.

    Raises:
        ValueError: The image that was loaded has another size than the
            annotation file says, so its boxes belong elsewhere.
    """

    def transform(self, results: dict) -> dict:
        if 'ori_shape' in results:
            _check_size(results)
        results = super().transform(results)
        flags = [instance.get('ignore_flag', 0) for instance in results['instances']]
        results['gt_ignore_flags'] = np.array(flags, dtype=bool)
        return results


@TRANSFORMS.register_module()
class RandomFlip(transforms.RandomFlip):
    """MMCV's, with an image that lies in memory as it is seen.

    MMCV's is a view that is read backwards: copying one later takes ten times
    as long as flipping it.
    """

    def transform(self, results: dict) -> dict:
        image = results['img']
        results = super().transform(results)
        if results['flip']:
            code = _FLIP_CODES[results['flip_direction']]
            results['img'] = cv2.flip(image, code).reshape(image.shape)
        return results


@TRANSFORMS.register_module()
class PackDetInputs(transforms.BaseTransform):
    """Turn a pipeline's dict into what the detector takes.

    Gives ``inputs``, the image as a ``(3, H, W)`` uint8 tensor (a view of the
    image, so in memory the three values of a pixel lie side by side), and
    ``data_samples``: metainfo of the image, its objects as ``gt_instances``
    and crowds and ignored boxes as ``ignored_instances``, both with ``bboxes``
    ``(N, 4)`` float32 xyxy in pixels and ``labels`` ``(N,)`` int64.

    Args:
        meta_keys: What to note on the sample, where a pipeline knows it.

    Raises:
        ValueError: A transform took away boxes and left their labels or flags.
    """

    def __init__(self, meta_keys: Sequence[str] = META_KEYS) -> None:
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict[str, Any]:
        # Torch has no views that are read backwards.
        image = torch.from_numpy(np.ascontiguousarray(results['img']))
        metainfo = {key: results[key] for key in self.meta_keys if key in results}
        sample = BaseDataElement(metainfo=metainfo)
        if 'gt_bboxes' in results:
            sample.gt_instances, sample.ignored_instances = _instances(results)
        return dict(inputs=image.permute(2, 0, 1), data_samples=sample)


def _check_size(results: dict) -> None:
    height, width = results['ori_shape']
    if (width, height) != (results['width'], results['height']):
        raise ValueError(
            f"the image '{results['img_path']}' is {width} x {height} pixels, but its "
            f'annotations are for {results["width"]} x {results["height"]}: correct '
            'width and height in the annotation file, or bring back the image that '
            'was annotated (a rotation noted in EXIF is applied when reading)'
        )


def _instances(results: dict) -> tuple[InstanceData, InstanceData]:
    """Objects, and what is to be ignored."""
    boxes, labels = results['gt_bboxes'], results['gt_bboxes_labels']
    ignored = results.get('gt_ignore_flags', np.zeros(len(labels), dtype=bool))
    if not len(boxes) == len(labels) == len(ignored):
        raise ValueError(
            f"image '{results.get('img_path')}': {len(boxes)} boxes but {len(labels)} "
            f'labels and {len(ignored)} ignore flags; a transform that drops boxes '
            "must drop the same rows of 'gt_bboxes_labels' and 'gt_ignore_flags'"
        )
    # MMCV's Resize leaves float64 boxes.
    boxes, labels = boxes.astype(np.float32), labels.astype(np.int64)
    # Sorted out here: InstanceData takes ten times as long to index.
    objects, ignored = (
        InstanceData(
            bboxes=torch.from_numpy(boxes[chosen]),
            labels=torch.from_numpy(labels[chosen]),
        )
        for chosen in (~ignored, ignored)
    )
    return objects, ignored
