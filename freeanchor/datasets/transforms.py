"""The steps of a pipeline that know of boxes; the others are MMCV's.

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

from .image_loading import check_size

META_KEYS = (
    'img_id',
    'img_path',
    'ori_shape',
    'img_shape',
    'scale_factor',
    'flip',
    'flip_direction',
)
# Of a box, in pixels; what was one pixel may be a little less in float32.
_LEAST_SIDE = 0.99
_FLIP_CODES = dict(horizontal=1, vertical=0, diagonal=-1)  # OpenCV's


@TRANSFORMS.register_module()
class LoadAnnotations(transforms.LoadAnnotations):
    """Boxes as arrays: MMCV's, with the flags of ignored ones and ids.

    Adds ``gt_bboxes`` ``(N, 4)`` float32 xyxy in pixels, ``gt_bboxes_labels``
    ``(N,)`` int64, ``gt_ignore_flags`` ``(N,)`` bool, and if each instance has
    an integer as ``ann_id`` also ``gt_ann_ids`` ``(N,)`` int64.

    Raises:
        DataError: The image that was loaded has another size than the
            annotation file says, so its boxes belong elsewhere.
    """

    def transform(self, results: dict) -> dict:
        if 'ori_shape' in results:
            check_size(results)
        results = super().transform(results)
        flags = [instance.get('ignore_flag', 0) for instance in results['instances']]
        results['gt_ignore_flags'] = np.array(flags, dtype=bool)
        ids = [instance.get('ann_id') for instance in results['instances']]
        if all(isinstance(x, int) for x in ids):
            results['gt_ann_ids'] = np.array(ids, dtype=np.int64)
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
    ``(N, 4)`` float32 xyxy in pixels and ``labels`` ``(N,)`` int64. Where the
    annotations' ids are known, both also have ``ann_ids`` ``(N,)`` int64.

    Boxes that are thinner than a pixel by now, or not finite, are left out: as
    targets they are of no use, and a side of 0 makes infinite gradients. Where
    there are some, the metainfo's ``num_thin_boxes`` counts them.

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
            wide = _wide_enough(results['gt_bboxes'])
            if not wide.all():
                sample.set_metainfo(dict(num_thin_boxes=int((~wide).sum())))
            sample.gt_instances, sample.ignored_instances = _instances(results, wide)
        return dict(inputs=image.permute(2, 0, 1), data_samples=sample)


def _wide_enough(boxes: np.ndarray) -> np.ndarray:
    """Whether boxes ``(N, 4)`` are finite and a pixel wide and high, ``(N,)``."""
    with np.errstate(invalid='ignore'):  # inf - inf
        sides = boxes[:, 2:] - boxes[:, :2]
    return (sides >= _LEAST_SIDE).all(axis=1) & np.isfinite(boxes).all(axis=1)


def _instances(results: dict, kept: np.ndarray) -> tuple[InstanceData, InstanceData]:
    """Objects, and what is to be ignored, of the boxes that are kept."""
    boxes, labels = results['gt_bboxes'], results['gt_bboxes_labels']
    ignored = results.get('gt_ignore_flags', np.zeros(len(labels), dtype=bool))
    if not len(boxes) == len(labels) == len(ignored):
        raise ValueError(
            f"image '{results.get('img_path')}': {len(boxes)} boxes but {len(labels)} "
            f'labels and {len(ignored)} ignore flags; a transform that drops boxes '
            "must drop the same rows of 'gt_bboxes_labels' and 'gt_ignore_flags'"
        )
    # MMCV's Resize leaves float64 boxes.
    rows = dict(bboxes=boxes.astype(np.float32), labels=labels.astype(np.int64))
    ids = results.get('gt_ann_ids')
    # Ids only name things: a transform that drops boxes need not know of them.
    if ids is not None and len(ids) == len(boxes):
        rows['ann_ids'] = ids
    # Sorted out here: InstanceData takes ten times as long to index.
    objects, ignored = (
        InstanceData(**{k: torch.from_numpy(x[chosen]) for k, x in rows.items()})
        for chosen in (~ignored & kept, ignored & kept)
    )
    return objects, ignored
