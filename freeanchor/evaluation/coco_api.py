"""Boxes in COCO's format: read from a file, or made from arrays."""

import contextlib
import io
import json
from collections import Counter
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO

from .coco_backends import Annotations

# Columns of a detection: x, y, width, height in pixels, score, label.
WIDTH = 6


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
    return _indexed(data['images'], data['categories'], annotations)


def _indexed(images: list, categories: list, annotations: list[dict]) -> COCO:
    """Ground truth as pycocotools holds it."""
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


class Numbering:
    """Places, from 1, of the images and categories that are evaluated.

    Both are in ascending order of their ids, as COCOeval has them: where
    scores are equal, the order of images decides.

    Args:
        image_ids: Images that count.
        cat_ids: Category id of each label.
    """

    def __init__(self, image_ids: Iterable[int | str], cat_ids: list[int]) -> None:
        # A file may have numbers and strings, which do not compare.
        images = sorted(set(image_ids), key=lambda x: (isinstance(x, str), x))
        self.images = {image_id: i for i, image_id in enumerate(images, 1)}
        self.categories = {x: i for i, x in enumerate(sorted(set(cat_ids)), 1)}
        self.of_label = np.array([self.categories[x] for x in cat_ids], dtype=int)

    def truth(self, truth: COCO) -> Annotations:
        """The objects of these images and categories."""
        found = [
            dict(
                image_id=self.images[x['image_id']],
                category_id=self.categories[x['category_id']],
                bbox=x['bbox'],
                area=x['area'],
                iscrowd=x['iscrowd'],
            )
            for x in truth.dataset['annotations']
            if x['image_id'] in self.images and x['category_id'] in self.categories
        ]
        return Annotations(found, len(self.images), len(self.categories))

    def detections(self, results: dict[int | str, np.ndarray]) -> Annotations:
        """The detections ``(n, WIDTH)`` of each image."""
        image = [self.images[image_id] for image_id in results]
        rows = np.concatenate([*results.values(), np.zeros((0, WIDTH))])
        columns = (
            np.repeat(image, [len(x) for x in results.values()]),
            self.of_label[rows[:, 5].astype(int)],
            rows[:, :4],
            rows[:, 2] * rows[:, 3],
            rows[:, 4],
        )
        found = [
            dict(
                image_id=image_id,
                category_id=category_id,
                bbox=box,
                area=area,
                score=score,
                iscrowd=0,
            )
            for image_id, category_id, box, area, score in zip(
                *(column.tolist() for column in columns)
            )
        ]
        return Annotations(found, len(self.images), len(self.categories))


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
