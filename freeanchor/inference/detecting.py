"""From images to detections, batch by batch."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
from mmengine.structures import InstanceData

from freeanchor.datasets.errors import BrokenImageError

from .pipeline import ImagePipeline
from .sources import Images, ImageSource, find_images


class AnyDetector(Protocol):
    """What :func:`detect` asks of a detector; :class:`Detector` is one."""

    @property
    def pipeline(self) -> ImagePipeline: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def category_ids(self) -> tuple[int, ...]: ...

    def predict(self, samples: list[dict[str, Any]]) -> list[InstanceData]: ...


class Detected(NamedTuple):
    """An image with what was found in it.

    ``image`` is ``(H, W, 3)`` BGR, upright, in its original size.
    """

    name: str
    image: np.ndarray
    instances: InstanceData


def detect(
    detector: AnyDetector, images: Images, score_thr: float = 0.3, batch_size: int = 1
) -> list[InstanceData]:
    """Find objects in images.

    Images of a batch are padded to a common size; at a padded edge, scores differ
    a little from those of an image alone.

    Args:
        detector: From :func:`load_detector`.
        images: One or more, in any form that :func:`find_images` takes.
        score_thr: Detections below this score are left out; so are those below
            ``model.test_cfg.score_thr`` of the config.
        batch_size: Images that the network sees at once.

    Returns:
        For each image, in order, ``bboxes`` ``(N, 4)`` float32 xyxy in pixels of the
        upright image, ``scores`` ``(N,)`` float32 from high to low, ``labels``
        ``(N,)`` int64 and ``names``, N class names; as metainfo ``img_path``, its
        name, and ``ori_shape``, its height and width in pixels.

    Raises:
        BrokenImageError: An image cannot be read or decoded.
        FileNotFoundError: A file or folder is not there, or holds no image.
        ConfigError: Something is no image.
    """
    found = detect_each(detector, find_images(images), score_thr, batch_size)
    return [instances for _, _, instances in found]


def detect_each(
    detector: AnyDetector,
    sources: Iterable[ImageSource],
    score_thr: float = 0.3,
    batch_size: int = 1,
    on_broken: Callable[[BrokenImageError], None] | None = None,
) -> Iterator[Detected]:
    """:func:`detect`, one image after the other, with the images.

    Args:
        detector: From :func:`load_detector`.
        sources: The images; read as they are needed, so that there is no end to
            how many there are.
        score_thr: As :func:`detect` takes it.
        batch_size: Images that the network sees at once.
        on_broken: Is told of an image that cannot be read, which is then left out;
            without it, such an image ends everything.

    Raises:
        BrokenImageError: Without ``on_broken``.
        ValueError: ``batch_size`` is less than 1.
    """
    if batch_size < 1:
        raise ValueError(f'batch_size is 1 or more, not {batch_size}')
    loaded = _loaded(detector.pipeline, sources, on_broken)
    while batch := list(islice(loaded, batch_size)):
        found = detector.predict([detector.pipeline.pack(image) for image in batch])
        for image, instances in zip(batch, found, strict=True):
            kept = instances[instances.scores >= score_thr]
            yield Detected(
                image['img_path'],
                image['img'],
                _described(kept, image, detector.class_names),
            )


def _loaded(
    pipeline: ImagePipeline,
    sources: Iterable[ImageSource],
    on_broken: Callable[[BrokenImageError], None] | None,
) -> Iterator[dict[str, Any]]:
    for source in sources:
        try:
            yield pipeline.load(source)
        except BrokenImageError as error:
            if on_broken is None:
                raise
            on_broken(error)


def _described(
    instances: InstanceData, image: dict[str, Any], class_names: tuple[str, ...]
) -> InstanceData:
    instances.names = [class_names[label] for label in instances.labels.tolist()]
    instances.set_metainfo(
        dict(img_path=image['img_path'], ori_shape=image['ori_shape'])
    )
    return instances
