"""pycocotools, quiet, and fed from Python objects instead of files."""

import contextlib
import io
import json
from collections import Counter
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def read_truth(path: str) -> COCO:
    """Ground truth of an annotation file.

    What exporters leave out is filled in: ``iscrowd`` is 0, ``area`` is width x
    height. Annotations are numbered anew, because COCOeval takes an object
    with the id 0 for none at all.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no annotation file.
    """
    try:
        data = json.loads(Path(path).read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"there is no annotation file '{path}' for the metric (looked from "
            f'{Path.cwd()}): set ann_file of the evaluator to where it is'
        ) from error
    except ValueError as error:
        raise ValueError(
            f'{path} is not valid JSON ({error}): it may be cut short, download or '
            'export it again'
        ) from error
    for key in ('images', 'categories'):
        if not isinstance(data, dict) or not data.get(key):
            raise ValueError(
                f"{path} has no '{key}': the metric needs an annotation file in "
                "COCO's format"
            )
    annotations = [_completed(path, x) for x in data.get('annotations', [])]
    return indexed(data['images'], data['categories'], annotations)


def indexed(images: list, categories: list, annotations: list[dict]) -> COCO:
    """Ground truth or detections as COCOeval takes them; numbers them from 1."""
    for number, annotation in enumerate(annotations, 1):
        annotation['id'] = number
    coco = COCO()
    coco.dataset = dict(images=images, categories=categories, annotations=annotations)
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def count_objects(truth: COCO, image_ids: Iterable[Hashable]) -> Counter[int]:
    """Objects to be found in some images, by category id; crowds are none."""
    of_images = set(image_ids)
    return Counter(
        x['category_id']
        for x in truth.dataset['annotations']
        if x['image_id'] in of_images and not x['iscrowd']
    )


def evaluate(
    truth: COCO, detections: list[dict[str, Any]], image_ids: list, cat_ids: list[int]
) -> COCOeval:
    """COCO's evaluation of boxes on some images and categories.

    Args:
        truth: Ground truth.
        detections: In COCO's result format: ``image_id``, ``category_id``,
            ``bbox`` (x, y, width, height in pixels) and ``score``; may be empty.
        image_ids: Images that count.
        cat_ids: Categories that count. COCOeval sorts them.
    """
    for detection in detections:
        width, height = detection['bbox'][2:]
        detection.update(area=width * height, iscrowd=0)
    found = indexed(truth.dataset['images'], truth.dataset['categories'], detections)
    evaluator = COCOeval(truth, found, 'bbox')
    evaluator.params.imgIds = list(image_ids)
    evaluator.params.catIds = list(cat_ids)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator


def _completed(path: str, annotation: dict[str, Any]) -> dict[str, Any]:
    try:
        _, _, width, height = annotation['bbox']
        area = annotation.get('area')
        return dict(
            image_id=annotation['image_id'],
            category_id=annotation['category_id'],
            bbox=annotation['bbox'],
            area=width * height if area is None else area,
            iscrowd=annotation.get('iscrowd') or 0,
        )
    except (KeyError, TypeError, ValueError) as error:
        name = annotation.get('id') if isinstance(annotation, dict) else annotation
        raise ValueError(
            f'{path}, annotation {name!r} lacks image_id, category_id or a bbox of '
            f'four numbers ({type(error).__name__}: {error}): correct or remove it'
        ) from error
