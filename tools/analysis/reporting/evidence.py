"""Objects and detections of the tested images, side by side."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from freeanchor.evaluation.coco_api import Numbering, read_truth
from freeanchor.evaluation.coco_backends import Annotations
from freeanchor.evaluation.error_types import Judgement, Scene, judge

MOST = 100  # detections an image, as in COCO's AP


@dataclass(frozen=True)
class Picture:
    """A tested image: where it is, its height and width, objects and detections."""

    path: str
    shape: tuple[int, int]
    scene: Scene


@dataclass(frozen=True)
class Evidence:
    """All that the numbers of a report are computed from."""

    classes: tuple[str, ...]
    pictures: list[Picture]
    judgements: list[Judgement]  # of all detections
    truth: Annotations
    found: Annotations
    places: list[int]  # of each label among the evaluated categories

    @property
    def scenes(self) -> list[Scene]:
        return [x.scene for x in self.pictures]


def gather(samples: list[dict[str, Any]], ann_file: str, meta: dict) -> Evidence:
    """Put the detections of a test beside the objects of its annotation file.

    Args:
        samples: See :func:`freeanchor.engine.dumped_detections.read_detections`.
        ann_file: In COCO's format.
        meta: ``classes`` and ``cat_ids`` of the data set that was tested.

    Raises:
        ConfigError: The detections are of another data set.
    """
    from freeanchor.engine import ConfigError

    truth = read_truth(ann_file)
    unknown = [x['img_id'] for x in samples if x['img_id'] not in truth.imgs]
    rows = {x['img_id']: _rows(x['pred_instances']) for x in samples}
    labels = [int(x[:, 5].max()) for x in rows.values() if len(x)]
    if unknown or max(labels, default=0) >= len(meta['cat_ids']):
        wrong = f'image {unknown[0]!r}' if unknown else f'class {max(labels)}'
        raise ConfigError(
            f'the detections are of another data set: {wrong} is not in {ann_file}. '
            'Name the config they are of with --config.'
        )
    objects = defaultdict(list)
    label_of = {x: i for i, x in enumerate(meta['cat_ids'])}
    for x in truth.dataset['annotations']:
        if x['category_id'] in label_of:
            objects[x['image_id']].append(
                [*x['bbox'], x['iscrowd'], label_of[x['category_id']]]
            )
    once = {x['img_id']: x for x in samples}  # samplers may repeat an image
    pictures = [
        _picture(x, rows[image_id], objects[image_id]) for image_id, x in once.items()
    ]
    numbering = Numbering(rows, meta['cat_ids'])
    return Evidence(
        tuple(meta['classes']),
        pictures,
        [judge(x.scene) for x in pictures],
        numbering.truth(truth),
        numbering.detections(rows),
        [numbering.categories[x] - 1 for x in meta['cat_ids']],
    )


def _rows(found: dict[str, Any]) -> np.ndarray:
    """``(n, 6)`` x, y, width, height, score, label; the best scored first."""
    boxes = found['bboxes'].double().numpy()
    scores, labels = found['scores'].double().numpy(), found['labels'].numpy()
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    rows = np.column_stack([boxes[:, :2], sides, scores, labels])
    return rows[np.argsort(-scores, kind='stable')]


def _picture(sample: dict[str, Any], rows: np.ndarray, objects: list) -> Picture:
    wanted = np.array(objects, dtype=float).reshape(-1, 6)
    rows = rows[:MOST]
    scene = Scene(
        boxes=wanted[:, :4].copy(),
        labels=wanted[:, 5].astype(int),
        crowd=wanted[:, 4].astype(bool),
        found=rows[:, :4].copy(),
        found_labels=rows[:, 5].astype(int),
        scores=rows[:, 4],
    )
    height, width = sample['ori_shape'][:2]
    return Picture(str(Path(sample['img_path'])), (int(height), int(width)), scene)
