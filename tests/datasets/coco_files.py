"""Small annotation files and images, written for a test."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

CATEGORIES = ((3, 'cup'), (8, 'tree'), (11, 'boat'))
LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)]
RESIZE = dict(type='Resize', scale=(160, 120), keep_ratio=True)
FLIP = dict(type='RandomFlip', prob=1.0)
PACK = dict(type='PackDetInputs')


def box(
    bbox: Sequence[float], image: Any = 1, category: Any = 3, **fields: Any
) -> dict[str, Any]:
    """An annotation, without an id yet."""
    area = bbox[2] * bbox[3]
    return dict(
        image_id=image, category_id=category, bbox=list(bbox), area=area, **fields
    )


def write(
    folder: Path,
    boxes: Sequence[dict[str, Any]] = (),
    sizes: Sequence[tuple[int, int]] = ((80, 60),),
    name: str = 'boxes.json',
    **replaced: Any,
) -> dict[str, Any]:
    """Images of (width, height), with ids from 1, and their annotation file.

    Returns:
        The arguments of a ``CocoDataset`` that reads them.
    """
    folder.mkdir(exist_ok=True)
    images = []
    for i, (width, height) in enumerate(sizes, 1):
        pixels = np.full((height, width, 3), 10 * i, np.uint8)
        cv2.imwrite(str(folder / f'{i}.png'), pixels)
        images.append(dict(id=i, file_name=f'{i}.png', width=width, height=height))
    annotations = [dict(id=100 + i, **x) for i, x in enumerate(boxes)]
    content = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=i, name=x) for i, x in CATEGORIES],
    )
    (folder / name).write_text(json.dumps({**content, **replaced}))
    return dict(data_root=str(folder), ann_file=name, data_prefix=dict(img_path=''))
