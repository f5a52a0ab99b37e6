"""COCO's average precision of boxes."""

import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from torch import Tensor

from freeanchor.registry import METRICS

from .coco_api import WIDTH, Numbering, count_objects, read_truth
from .coco_backends import BACKENDS, checked_backend
from .coco_results import class_table, of_category, overall, overall_table
from .gather import gather_results


@METRICS.register_module()
class CocoMetric(BaseMetric):
    """Average precision and recall of boxes, to the digit those of pycocotools.

    Gives fractions: ``bbox_mAP`` (over IoU 0.50 to 0.95), ``bbox_mAP_50``,
    ``bbox_mAP_75``, ``bbox_mAP_s``, ``_m``, ``_l`` by area; ``bbox_AR@1``,
    ``@10``, ``@100`` for so many detections an image, ``bbox_AR_s@100``,
    ``_m``, ``_l`` by area. With ``classwise`` also ``{class}_precision``, the
    AP of each class. Where there is nothing to find, such as no small object,
    a number is NaN: not pycocotools' -1, and not 0.

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
            backend.
    """

    default_prefix = 'coco'

    def __init__(
        self,
        ann_file: str,
        outfile_prefix: str | None = None,
        format_only: bool = False,
        classwise: bool = False,
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
        self._check_classes(meta)
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
        results = gather_results(self.results, WIDTH)
        self.results.clear()
        numbers: list = [None]
        if is_main_process():
            named = self.compute_metrics(results)
            numbers = [{f'{self.prefix}/{k}': v for k, v in named.items()}]
        broadcast_object_list(numbers)
        return numbers[0]

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The numbers, from the id and the detections of each image."""
        by_image = dict(results)
        self._check_images(by_image)
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
        curves = BACKENDS[self.backend](
            numbering.truth(self._truth), numbering.detections(by_image)
        )
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
        return numbers

    def _categories(self) -> Iterator[tuple[str, int]]:
        """Name and category id of each label, in order."""
        assert self._dataset_meta is not None, 'dataset_meta is set before evaluation'
        return zip(self._dataset_meta['classes'], self._dataset_meta['cat_ids'])

    def _check_classes(self, meta: dict) -> None:
        """The data set and the metric must mean the same by a category id."""
        for key in ('classes', 'cat_ids'):
            if key not in meta:
                raise ValueError(
                    f"CocoMetric needs '{key}' in the metainfo of the data set; "
                    'CocoDataset gives it once its file is read (lazy_init=False)'
                )
        names = {x['id']: x['name'] for x in self._truth.dataset['categories']}
        for name, cat_id in zip(meta['classes'], meta['cat_ids']):
            if names.get(cat_id) != name:
                raise ValueError(
                    f'the data set calls category {cat_id} {name!r}, but in '
                    f'{self.ann_file}, which the metric compares with, '
                    f'{_meaning(cat_id, name, names)}. Give the metric the ann_file of '
                    'the data set, or both files the same categories'
                )

    def _check_images(self, image_ids: dict) -> None:
        for image_id in image_ids:
            if image_id not in self._truth.imgs:
                raise ValueError(
                    f'image {image_id!r} was evaluated, but {self.ann_file} does not '
                    'list it: give the metric the ann_file of the data set'
                )

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


def _meaning(cat_id: int, name: str, names: dict[int, str]) -> str:
    """What the metric's file says of a category that does not fit."""
    if cat_id in names:
        return f'it is {names[cat_id]!r}'
    ids = {known: i for i, known in names.items()}
    if name in ids:
        return f'{name!r} has the id {ids[name]}'
    close = difflib.get_close_matches(name, list(ids), n=1)
    return 'there is none' + (f', the nearest is {close[0]!r}' if close else '')
