"""What to do before and after an exported network, as data that go with it."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from mmcv.transforms import Resize

from freeanchor.boxes import DeltaBoxCoder, LegacyDeltaBoxCoder
from freeanchor.datasets.image_loading import LoadImageFromFile
from freeanchor.datasets.transforms import PackDetInputs
from freeanchor.engine import ConfigError
from freeanchor.inference import Detector, ImagePipeline
from freeanchor.models import DetDataPreprocessor
from freeanchor.models.detector import settings_of

METADATA_KEY = 'freeanchor'
"""Under which an exported file holds its recipe."""
_FORMAT = 1


@dataclass(frozen=True)
class Recipe:
    """How an image is prepared, and how detections are read.

    Args:
        class_names: Name of each label.
        category_ids: COCO category id of each label.
        scale: Longest width and height in pixels. With ``keep_ratio`` the longer
            of the two bounds an image's longer side, the shorter its shorter side.
        keep_ratio: Whether an image keeps its shape; else it is resized to
            ``scale``.
        interpolation: How pixels are interpolated, MMCV's word.
        backend: Which library resizes, MMCV's word: ``cv2`` or ``pillow``.
        channels: Order of the network's input, ``rgb`` or ``bgr``.
        mean: Subtracted from each of ``channels``, of values from 0 to 255.
        std: What each is divided by then.
        pad_divisor: Sides are padded, right and at the bottom, to multiples of it.
        pad_value: What normalised images are padded with.
        last_pixel: Boxes of the resized image end with the place of their last
            pixel, ``x2 - 1``, which is what is scaled back.
        score_thr: The network leaves out what does not rank above.
    """

    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    scale: tuple[int, int]
    keep_ratio: bool
    interpolation: str
    backend: str
    channels: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    pad_divisor: int
    pad_value: float
    last_pixel: bool
    score_thr: float

    @classmethod
    def of(cls, detector: Detector) -> 'Recipe':
        """What :func:`freeanchor.inference.load_detector` knows of a detector.

        Raises:
            ConfigError: A step of its test pipeline cannot be described.
        """
        model = detector.model
        resize = _only_resize(detector.pipeline)
        pre = model.data_preprocessor
        normalised = pre._enable_normalize
        return cls(
            class_names=detector.class_names,
            category_ids=detector.category_ids,
            scale=tuple(resize.scale),
            keep_ratio=resize.keep_ratio,
            interpolation=resize.interpolation,
            backend=resize.backend,
            channels='rgb' if pre._channel_conversion else 'bgr',
            mean=tuple(pre.mean.flatten().tolist()) if normalised else (0.0,) * 3,
            std=tuple(pre.std.flatten().tolist()) if normalised else (1.0,) * 3,
            pad_divisor=pre.pad_size_divisor,
            pad_value=float(pre.pad_value),
            last_pixel=isinstance(model.bbox_head.coder, LegacyDeltaBoxCoder),
            **settings_of(model.test_cfg, 'score_thr'),
        )

    def pipeline(self) -> ImagePipeline:
        """From an image of any source to a resized one of uint8."""
        resize = Resize(
            scale=self.scale,
            keep_ratio=self.keep_ratio,
            interpolation=self.interpolation,
            backend=self.backend,
        )
        return ImagePipeline(LoadImageFromFile(), (resize, PackDetInputs()))

    def preprocessor(self) -> DetDataPreprocessor:
        """From resized images to a normalised batch."""
        return DetDataPreprocessor(
            mean=self.mean,
            std=self.std,
            bgr_to_rgb=self.channels == 'rgb',
            pad_size_divisor=self.pad_divisor,
            pad_value=self.pad_value,
        )

    def coder(self) -> DeltaBoxCoder | LegacyDeltaBoxCoder:
        """Takes boxes of the resized image back to the original one."""
        return LegacyDeltaBoxCoder() if self.last_pixel else DeltaBoxCoder()

    def to_json(self) -> str:
        return json.dumps(dict(format=_FORMAT, **asdict(self)))

    @classmethod
    def from_json(cls, text: str | None, name: str) -> 'Recipe':
        """Read what :meth:`to_json` wrote.

        Args:
            text: JSON; None if the file has none.
            name: Of the file, for messages.

        Raises:
            ConfigError: It is something else.
        """
        try:
            values: dict[str, Any] = json.loads(text or '')
            if values.pop('format') != _FORMAT:
                raise ValueError('another format')
            tuples = {k: tuple(x) for k, x in values.items() if isinstance(x, list)}
            return cls(**{**values, **tuples})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(
                f'{name} does not say how images are prepared for it ({error}): export '
                'it with tools/deploy/export.py of this version'
            ) from None


def _only_resize(pipeline: ImagePipeline) -> Resize:
    others: list[Any] = list(pipeline.steps)
    packing = others.pop()
    if (
        len(others) != 1
        or type(others[0]) is not Resize
        or others[0].scale is None
        or not isinstance(packing, PackDetInputs)
    ):
        names = ', '.join(type(step).__name__ for step in pipeline.steps)
        raise ConfigError(
            f'the test pipeline is {names} after loading: what is exported can only '
            'Resize to a scale, then PackDetInputs'
        )
    return others[0]
