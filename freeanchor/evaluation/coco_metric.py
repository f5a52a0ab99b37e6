"""COCO's average precision of boxes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from torch import Tensor

from freeanchor.registry import METRICS

from .coco_api import WIDTH, Numbering, count_objects, read_truth
from .coco_backends import BACKENDS, checked_backend
from .coco_checks import check_classes, check_images
from .coco_results import class_table, of_category, overall, overall_table
from .gather import compute_together
from .object_groups import group_numbers, read_groups


@METRICS.register_module()
class CocoMetric(BaseMetric):
    """Average precision and recall of boxes, to the digit those of pycocotools.

    Gives fractions: ``bbox_mAP`` (over IoU 0.50 to 0.95), ``bbox_mAP_50``,
    ``bbox_mAP_75``, ``bbox_mAP_s``, ``_m``, ``_l`` by area; ``bbox_AR@1``,
    ``@10``, ``@100`` for so many detections an image, ``bbox_AR_s@100``,
    ``_m``, ``_l`` by area. With ``classwise`` also ``{class}_precision``, the
    AP of each class, and with ``groups`` ``bbox_mAP_{group}``,
    ``bbox_mAP_50_{group}`` and ``bbox_AR_{group}@100`` of each group of objects, see
    :mod:`freeanchor.evaluation.object_groups`. Where there is nothing to find, such
    as no small object, a number is NaN: not pycocotools' -1, and not 0.

    Only the images that were evaluated count, and each counts once, however
    many processes took part. If they show no object at all, there is a warning
    and no number.

    Args:
        ann_file: The annotation file to compare with.
        outfile_prefix: Write the detections, in COCO's result format, to
            ``{outfile_prefix}.bbox.json``.
        format_only: Write that file and compute nothing: for test images whose
            annotations are not public.
        classwise: Also give a table and the AP of each class.
        groups: Groups of objects by name, such as
            ``dict(slender=dict(by='aspect_ratio', low=3))``: objects with ``low <=
            measure < high`` by ``'aspect_ratio'``, longer side over shorter side, or
            ``'crowding'``, the highest IoU with another object of the image.
        backend: Who computes: ``'pycocotools'``, the reference, or
            ``'faster_coco_eval'``, several times faster with the same numbers
            (``pip install "freeanchor[fast-eval]"``). By default the second
            where it is installed, else the first.
        prefix: What stands before the name of each number.
        collect_device: Taken for configs that have it; results are gathered as
            tensors, where the processes talk to each other.
        collect_dir: Likewise; no file is written.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file has no object to find, or its categories are not
            those of the data set that is evaluated; or there is no such
            backend or measure.
    """

    default_prefix = 'coco'

    def __init__(
        self,
        ann_file: str,
        outfile_prefix: str | None = None,
        format_only: bool = False,
        classwise: bool = False,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
        backend: str | None = None,
        prefix: str | None = None,
        collect_device: str = 'cpu',
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        if format_only and outfile_prefix is None:
            raise ValueError(
                'CocoMetric(format_only=True) writes detections to a file: say where '
                "with outfile_prefix='folder/name'"
            )
        self.ann_file = ann_file
        self.outfile_prefix = outfile_prefix
        self.format_only = format_only
        self.classwise = classwise
        self.groups = read_groups(groups or {})
        self.backend = checked_backend(backend)
        self._truth = read_truth(ann_file)
        if not (format_only or self._truth.anns):
            raise ValueError(
                f'{ann_file} has no annotations to compare detections with; to write '
                'the detections of such images to a file, set format_only=True and '
                'outfile_prefix of the metric'
            )

    @property
    def dataset_meta(self) -> dict | None:
        """``classes`` and ``cat_ids`` of the data set that is evaluated."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict) -> None:
        # MMEngine sets it before the first iteration: early enough to refuse.
        check_classes(meta, self._truth, self.ann_file)
        self._dataset_meta = meta

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Notes the detections of a batch, boxes xyxy in original pixels."""
        found = [_in_one(sample['pred_instances']) for sample in data_samples]
        # One copy from the device, however many images.
        rows = torch.cat(found).cpu().double().numpy()
        rows[:, 2:4] -= rows[:, :2]  # as COCO writes boxes: x, y, width, height
        ends = np.cumsum([len(x) for x in found])[:-1]
        ids = [sample['img_id'] for sample in data_samples]
        self.results.extend(zip(ids, np.split(rows, ends)))

    def evaluate(self, size: int) -> dict[str, float]:
        """The numbers, from what all processes noted; the same on each."""
        numbers = compute_together(self.compute_metrics, self.results, WIDTH)
        self.results.clear()
        return {f'{self.prefix}/{name}': value for name, value in numbers.items()}

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The numbers, from the id and the detections of each image."""
        by_image = dict(results)
        check_images(by_image, self._truth, self.ann_file)
        if self.outfile_prefix is not None:
            self._write(by_image)
        if self.format_only:
            return {}

        count = count_objects(self._truth, by_image)
        num_objects = {name: count[cat_id] for name, cat_id in self._categories()}
        if not any(num_objects.values()):
            MMLogger.get_current_instance().warning(
                f'No AP: the {len(by_image)} evaluated images of {self.ann_file} show '
                f'no object of the classes {", ".join(num_objects)}'
            )
            return {}
        return self._compare(by_image, num_objects)

    def _compare(
        self, by_image: dict[int | str, np.ndarray], num_objects: dict[str, int]
    ) -> dict[str, float]:
        log = MMLogger.get_current_instance()
        numbering = Numbering(by_image, [cat_id for _, cat_id in self._categories()])
        truth, found = numbering.truth(self._truth), numbering.detections(by_image)
        backend = BACKENDS[self.backend]
        curves = backend(truth, found)
        numbers = overall(curves)
        log.info(
            f'Boxes of {len(by_image)} images (of {len(self._truth.imgs)} in '
            f'{self.ann_file}; {self.backend}), in %:\n{overall_table(numbers)}'
        )
        if self.classwise:
            rows = {
                name: of_category(curves, numbering.categories[cat_id] - 1)
                for name, cat_id in self._categories()
            }
            log.info(f'By class, in %:\n{class_table(rows, num_objects)}')
            numbers |= {f'{name}_precision': row[0] for name, row in rows.items()}
        if self.groups:
            of_groups, table = group_numbers(self.groups, truth, found, backend)
            log.info(f'By group of objects, in %:\n{table}')
            numbers |= of_groups
        return numbers

    def _categories(self) -> Iterator[tuple[str, int]]:
        """Name and category id of each label, in order."""
        assert self._dataset_meta is not None, 'dataset_meta is set before evaluation'
        return zip(self._dataset_meta['classes'], self._dataset_meta['cat_ids'])

    def _write(self, by_image: dict[int | str, np.ndarray]) -> None:
        cat_ids = [cat_id for _, cat_id in self._categories()]
        detections = [
            dict(
                image_id=image_id,
                category_id=cat_ids[int(label)],
                bbox=box,
                score=score,
            )
            for image_id, rows in by_image.items()
            for *box, score, label in rows.tolist()
        ]
        path = Path(f'{self.outfile_prefix}.bbox.json')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(detections))
        MMLogger.get_current_instance().info(
            f'{len(detections)} detections written to {path}'
        )


def _in_one(found: Any) -> Tensor:
    """Boxes, scores and labels side by side, ``(n, WIDTH)``, on their device."""
    boxes, scores, labels = found['bboxes'], found['scores'], found['labels']
    # Half precision could not hold a label above 256.
    wide = torch.promote_types(boxes.dtype, scores.dtype)
    wide = torch.promote_types(wide, torch.float32)
    parts = [boxes, scores[:, None], labels[:, None]]
    return torch.cat([part.to(wide) for part in parts], dim=1)
