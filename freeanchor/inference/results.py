"""Detections in the forms that others read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mmengine.structures import InstanceData

if TYPE_CHECKING:
    import supervision


def to_dicts(instances: InstanceData) -> list[dict[str, Any]]:
    """One image's detections as plain values.

    Returns:
        For each ``name``, ``label``, ``score`` and ``bbox``: xyxy, pixels.
    """
    return [
        dict(name=name, label=label, score=score, bbox=bbox)
        for name, label, score, bbox in zip(
            instances.names,
            instances.labels.tolist(),
            instances.scores.tolist(),
            instances.bboxes.tolist(),
        )
    ]


def to_coco(
    found: Iterable[InstanceData],
    category_ids: Sequence[int],
    image_ids: Mapping[str, int] | None = None,
) -> list[dict[str, Any]]:
    """Detections of several images as COCO results, which pycocotools reads.

    Args:
        found: What :func:`freeanchor.inference.detect` returned.
        category_ids: Of each label: ``detector.category_ids``.
        image_ids: By ``img_path``; unless given, images are numbered from 1.

    Returns:
        For each detection ``image_id``, ``category_id``, ``bbox`` (x, y, width,
        height in pixels), ``score`` and ``file_name``, the image's ``img_path``.

    Raises:
        KeyError: ``image_ids`` lacks an image.
    """
    rows = []
    for number, instances in enumerate(found, 1):
        name = instances.img_path
        image_id = number if image_ids is None else image_ids[name]
        for item in to_dicts(instances):
            x1, y1, x2, y2 = item['bbox']
            rows.append(
                dict(
                    image_id=image_id,
                    category_id=category_ids[item['label']],
                    bbox=[x1, y1, x2 - x1, y2 - y1],
                    score=item['score'],
                    file_name=name,
                )
            )
    return rows


def to_supervision(instances: InstanceData) -> 'supervision.Detections':
    """One image's detections for Roboflow's ``supervision``.

    Raises:
        ImportError: supervision is not installed.
    """
    try:
        from supervision import Detections
    except ImportError:
        raise ImportError(
            'supervision is not installed: pip install freeanchor[supervision]'
        ) from None
    import numpy as np

    return Detections(
        xyxy=instances.bboxes.numpy(),
        confidence=instances.scores.numpy(),
        class_id=instances.labels.numpy().astype(int),
        data={'class_name': np.array(instances.names, dtype=str)},
    )
