"""Boxes of resized images as the authors of FreeAnchor, and Detectron, have them."""

import numpy as np
from mmcv import transforms

from freeanchor.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LegacyBoxes(transforms.BaseTransform):
    """Let boxes end where their scaled last pixel does.

    maskrcnn-benchmark (``structures/bounding_box.py``) scales the first and the
    last pixel of a box; ``Resize`` scales its edges. The right and the lower
    edge differ by the scale less one, in pixels. Stands right after ``Resize``,
    and goes with :class:`freeanchor.boxes.LegacyDeltaBoxCoder`, which takes the
    same back from detections.

    Raises:
        KeyError: There is no ``scale_factor``: no ``Resize`` stands before.
    """

    def transform(self, results: dict) -> dict:
        if 'gt_bboxes' in results:
            boxes = results['gt_bboxes'].copy()
            boxes[:, 2:] += 1 - np.array(results['scale_factor'])
            results['gt_bboxes'] = boxes
        return results
