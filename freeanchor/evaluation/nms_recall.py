"""NMS recall: what share of the found objects survives non-maximum suppression."""

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from torch import Tensor
from torchvision.ops import batched_nms

from freeanchor.boxes import pairwise_iou
from freeanchor.registry import METRICS

from .coco_api import read_truth
from .coco_checks import check_classes, check_images
from .coco_results import aligned, percent
from .gather import compute_together

THRESHOLDS = tuple(range(50, 95, 5))  # IoU in percent
_WIDTH = 2  # columns: before and after NMS


@METRICS.register_module()
class NMSRecallMetric(BaseMetric):
    r"""Recall after NMS as a share of the recall before it, by IoU threshold.

    A detector whose scores and boxes do not agree loses well placed boxes to badly
    placed ones with higher scores, and NMS recall shows it: the paper's

    .. math:: NR_\tau = \frac{\#\{\text{objects recalled after NMS}\}}
                             {\#\{\text{objects recalled before NMS}\}}

    where an object is recalled by a box of any class, scored above ``score_thr``, that
    overlaps it by an IoU above :math:`\tau`. As in the authors' ``tools/eval_NR.py``,
    nothing but NMS, class by class, stands between the two, crowds are left out, and
    the thresholds are 0.50, 0.55, ..., 0.90.

    It applies NMS itself, so it has to be given the boxes from before::

        model = dict(test_cfg=dict(nms_iou=1.0, max_per_img=1_000_000))
        test_evaluator = dict(type='NMSRecallMetric', ann_file=...)

    or, for any config, ``tools/analysis/nms_recall.py``. Boxes of which NMS removes
    none seem to be those after it: there is a warning and no number.

    Gives fractions: ``NR``, the mean over the thresholds, ``NR_50`` to ``NR_90``, and
    ``recall_before`` and ``recall_after``, means over the thresholds. Where nothing
    was recalled before NMS an ``NR_*`` is NaN, and the mean is without it (it counts
    as 0 in the authors' tool).

    Args:
        ann_file: The annotation file to compare with.
        nms_iou: Of two boxes of a class that overlap more, the lower scored goes.
        score_thr: Boxes scored above this count.
        class_aware: Whether only a box of the object's class recalls it.
        prefix: What stands before the name of each number.
        collect_device: Taken for configs that have it; see
            :class:`freeanchor.evaluation.CocoMetric`.
        collect_dir: Likewise.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no annotation file, or not that of the data set.
    """

    default_prefix = 'nms_recall'

    def __init__(
        self,
        ann_file: str,
        nms_iou: float = 0.5,
        score_thr: float = 0.05,
        class_aware: bool = False,
        prefix: str | None = None,
        collect_device: str = 'cpu',
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        self.ann_file = ann_file
        self.nms_iou = nms_iou
        self.score_thr = score_thr
        self.class_aware = class_aware
        self._truth = read_truth(ann_file)

    @property
    def dataset_meta(self) -> dict | None:
        """``classes`` and ``cat_ids`` of the data set that is evaluated."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict) -> None:
        check_classes(meta, self._truth, self.ann_file)
        self._dataset_meta = meta

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Notes how well each object is found, by boxes xyxy in original pixels.

        Of each image it keeps two numbers an object, and how many boxes there were
        before and after NMS as the first row.
        """
        check_images((x['img_id'] for x in data_samples), self._truth, self.ann_file)
        for sample in data_samples:
            found = sample['pred_instances']
            rows = (found['scores'] > self.score_thr).nonzero()[:, 0]
            boxes, scores = found['bboxes'][rows], found['scores'][rows]
            labels = found['labels'][rows]
            kept = batched_nms(boxes, scores.to(boxes.dtype), labels, self.nms_iou)
            objects, classes = self._objects(sample['img_id'], boxes)
            best = [
                self._best_overlaps(objects, classes, boxes, labels),
                self._best_overlaps(objects, classes, boxes[kept], labels[kept]),
            ]
            counts = np.array([[len(boxes), len(kept)]], dtype=float)
            of_objects = torch.stack(best, dim=1).cpu().double().numpy()
            self.results.append(
                (sample['img_id'], np.concatenate([counts, of_objects]))
            )

    def evaluate(self, size: int) -> dict[str, float]:
        """The numbers, from what all processes noted; the same on each."""
        numbers = compute_together(self.compute_metrics, self.results, _WIDTH)
        self.results.clear()
        return {f'{self.prefix}/{name}': value for name, value in numbers.items()}

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The numbers, from the id and the rows of each image."""
        log = MMLogger.get_current_instance()
        num_before, num_after = sum(rows[0] for _, rows in results).astype(int)
        if num_before == num_after > 0:
            log.warning(
                f'No NMS recall: NMS above IoU {self.nms_iou} removes none of the '
                f'{num_before} boxes, so they seem to be those after it. Set '
                'model.test_cfg=dict(nms_iou=1.0, max_per_img=1000000)'
            )
            return {}
        best = np.concatenate([rows[1:] for _, rows in results])  # (G, 2)
        recalled = [(best > x / 100).sum(axis=0) for x in THRESHOLDS]
        before, after = np.array(recalled, dtype=float).T
        ratios = [b / a if a else nan for a, b in zip(before, after)]
        known = [x for x in ratios if x == x]
        mean = float(np.mean(known)) if known else nan
        log.info(
            f'{len(best)} objects of {len(results)} images, {num_before} boxes before '
            f'NMS and {num_after} after, in %:\n{_table(before, after, len(best))}'
        )
        objects = len(best) or nan
        return {
            'NR': mean,
            **{f'NR_{x}': float(ratio) for x, ratio in zip(THRESHOLDS, ratios)},
            'recall_before': float(before.mean() / objects),
            'recall_after': float(after.mean() / objects),
        }

    def _objects(self, image_id: int | str, like: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes ``(G, 4)`` xyxy and labels ``(G,)`` of an image, without crowds."""
        assert self._dataset_meta is not None, 'dataset_meta is set before evaluation'
        label_of = {x: i for i, x in enumerate(self._dataset_meta['cat_ids'])}
        wanted = [
            x
            for x in self._truth.imgToAnns[image_id]
            if not x['iscrowd'] and x['category_id'] in label_of
        ]
        boxes = like.new_tensor([x['bbox'] for x in wanted]).reshape(-1, 4)
        labels = [label_of[x['category_id']] for x in wanted]
        boxes[:, 2:] += boxes[:, :2]
        return boxes, torch.tensor(labels, device=like.device, dtype=torch.long)

    def _best_overlaps(
        self, objects: Tensor, classes: Tensor, boxes: Tensor, labels: Tensor
    ) -> Tensor:
        """Highest IoU of each object ``(G,)`` with any box, 0 without a box."""
        overlaps = pairwise_iou(objects, boxes)
        if self.class_aware:
            overlaps = overlaps.masked_fill(classes[:, None] != labels, 0)
        none = overlaps.new_zeros(len(objects), 1)
        return torch.cat([none, overlaps], dim=1).amax(dim=1)


def _table(before: np.ndarray, after: np.ndarray, num_objects: int) -> str:
    rows: list[Sequence[str]] = [('IoU above', *(f'{x / 100:.2f}' for x in THRESHOLDS))]
    known = before.clip(1)
    rows.append(('recall before', *percent(before / (num_objects or nan))))
    rows.append(('recall after', *percent(after / (num_objects or nan))))
    rows.append(('NMS recall', *percent(np.where(before > 0, after / known, nan))))
    return aligned(rows)
