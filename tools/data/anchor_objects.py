"""The objects of a data set, as a network sees them: after the pipeline's Resize."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmcv.image import rescale_size

from freeanchor.datasets.checks.source import sources_of
from freeanchor.datasets.coco_file import read_coco
from freeanchor.datasets.errors import DataError
from freeanchor.datasets.formats import read_data
from freeanchor.datasets.formats.coco import see_doctor
from freeanchor.engine import ConfigError


@dataclass(frozen=True)
class NetworkObjects:
    """Objects in resized images.

    Attributes:
        boxes: ``(N, 4)`` xyxy, pixels of the resized image.
        labels: ``(N,)`` places in ``classes``.
        image_sizes: ``(N, 2)`` height and width of each one's image, resized.
        classes: Names.
        total: Objects that these were drawn from.
        source: Where they were read from.
        scale: Longer and shorter side of the images, at most.
        divisor: What the network pads sides to a multiple of.
    """

    boxes: np.ndarray
    labels: np.ndarray
    image_sizes: np.ndarray
    classes: tuple[str, ...]
    total: int
    source: str
    scale: tuple[int, int]
    divisor: int

    @property
    def sides(self) -> np.ndarray:
        """``(N, 2)`` width and height."""
        return self.boxes[:, 2:] - self.boxes[:, :2]

    def title(self) -> str:
        drawn = f', of {self.total}' if self.total > len(self.boxes) else ''
        return (
            f'{self.source}: {len(self.boxes)} objects{drawn}, in images resized to '
            f'at most {self.scale[0]} x {self.scale[1]}\n'
        )

    def as_data(self) -> dict[str, Any]:
        return dict(boxes=self.boxes.tolist(), labels=self.labels.tolist())


def objects_of(
    cfg: Any, path: str | None, format: str | None, number: int
) -> NetworkObjects:
    """The objects to train on: of ``path``, or of the config's own data set.

    Args:
        cfg: The config.
        path: A data set in any format; None for the config's.
        format: Of it; found out unless given.
        number: The most objects, drawn from all with a fixed seed.

    Raises:
        ConfigError: The pipeline has no Resize, or there are no objects.
        DataError: The data set is malformed.
    """
    scale, keep_ratio = _scale(_pipeline(cfg.train_dataloader.dataset))
    content, name = _content(cfg, path, format)
    taken = [
        x
        for x in content['annotations']
        if not (x.get('iscrowd') or x.get('ignore')) and min(x['bbox'][2:]) > 0
    ]
    if not taken:
        raise ConfigError(f'{name}: there are no objects in it')
    order = np.random.default_rng(0).permutation(len(taken))[:number]
    drawn = [taken[i] for i in np.sort(order)]
    sizes = {x['id']: (x['width'], x['height']) for x in content['images']}
    label = {x['id']: i for i, x in enumerate(content['categories'])}
    boxes, resized = _resized(drawn, sizes, scale, keep_ratio)
    return NetworkObjects(
        boxes=boxes,
        labels=np.array([label[x['category_id']] for x in drawn]),
        image_sizes=resized,
        classes=tuple(x['name'] for x in content['categories']),
        total=len(taken),
        source=name,
        scale=(max(scale), min(scale)),
        divisor=(cfg.model.get('data_preprocessor') or {}).get('pad_size_divisor', 1),
    )


def _content(cfg: Any, path: str | None, format: str | None) -> tuple[dict, str]:
    """The lists of COCO's format, and where they are from."""
    if path is not None:
        found = read_data(path, format)
        split = found.splits.get('train') or next(iter(found.splits.values()))
        return split.content, split.source
    source = next((x for x in sources_of(cfg) if x.name == 'train'), None)
    if source is None:
        raise ConfigError("the config has no data set in COCO's format: give --data")
    try:
        file = read_coco(source.ann_file, allow_outside=source.allow_outside)
    except DataError as error:
        raise DataError(f'{error}{see_doctor(source.ann_file)}') from None
    categories = [dict(id=i, name=name) for i, name in file.categories.items()]
    content = dict(
        images=file.images, annotations=file.annotations, categories=categories
    )
    return content, source.ann_file


def _resized(
    annotations: list[dict[str, Any]],
    sizes: dict[Any, tuple[int, int]],
    scale: tuple[int, int],
    keep_ratio: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """``(N, 4)`` boxes xyxy, and height and width of their images, ``(N, 2)``."""
    boxes, resized = [], []
    for entry in annotations:
        width, height = sizes[entry['image_id']]
        size = rescale_size((width, height), scale) if keep_ratio else scale
        x, y, w, h = entry['bbox']
        factor = np.array([size[0] / width, size[1] / height] * 2)
        boxes.append(np.array([x, y, x + w, y + h]) * factor)
        resized.append((size[1], size[0]))
    return np.array(boxes), np.array(resized)


def _pipeline(node: Any) -> list[Any]:
    while 'dataset' in node:
        node = node['dataset']
    return node.get('pipeline', [])


def _scale(pipeline: list[Any]) -> tuple[tuple[int, int], bool]:
    """The scale that images are resized to; the middle one of several."""
    for step in _steps(pipeline):
        scales = step.get('scales') or step.get('scale')
        if 'Resize' in str(step.get('type')) and scales:
            several = [scales] if isinstance(scales[0], int) else list(scales)
            several.sort(key=lambda x: x[0] * x[1])
            return tuple(several[len(several) // 2]), step.get('keep_ratio', True)
    raise ConfigError('the training pipeline of the config has no Resize with a scale')


def _steps(pipeline: list[Any]) -> Iterator[Any]:
    """Transforms, also those within others."""
    for step in pipeline:
        if isinstance(step, dict):
            yield step
            yield from _steps(step.get('transforms') or [])
        elif isinstance(step, list | tuple):
            yield from _steps(list(step))
