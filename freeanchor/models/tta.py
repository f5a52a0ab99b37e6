"""Test-time augmentation: what finds objects in several views of an image."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import is_model_wrapper
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor, nn

from freeanchor.registry import MODELS

from .views import Detections, View, detect_in_views


@MODELS.register_module()
class DetTTAModel(nn.Module):
    """Detect in the views that a pipeline gives.

    Such a pipeline ends with :class:`freeanchor.datasets.MultiScaleFlipAug`, or
    with MMCV's ``TestTimeAug``. Candidates of all views and levels are taken
    together and suppressed once, in pixels of the original image.

    Args:
        module: The detector, with its weights. Its ``test_cfg`` says which
            candidates each view gives, and what stays of all.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = _detector(module)

    def test_step(self, data: dict[str, list]) -> list[BaseDataElement]:
        """Samples of the first view, with ``pred_instances``.

        Args:
            data: ``inputs`` and ``data_samples``, for each view a list with the
                images of the batch.

        Raises:
            ValueError: The pipeline gives no views.
        """
        if not isinstance(data['inputs'][0], Sequence):
            raise ValueError(
                'the test pipeline gives one view of an image: end tta_pipeline with '
                'MultiScaleFlipAug'
            )
        views, samples = [], []
        for inputs, own in zip(data['inputs'], data['data_samples']):
            batch = self.module.data_preprocessor(
                dict(inputs=inputs, data_samples=own), False
            )
            views.append(_view(batch['inputs'], own))
            samples.append(own)
        found = detect_in_views(self.module, views)
        return _with_predictions(samples[0], found)


@MODELS.register_module()
class RescaleTTAModel(nn.Module):
    """Detect in several sizes of an image that was resized before.

    The multi-scale testing of FreeAnchor's authors (``multi_scale_wrapper.py``
    in their repository): the normalised image, as the test pipeline gives it,
    is resized bilinearly with its corners kept in place.

    Args:
        module: The detector, with its weights. Its ``test_cfg`` says which
            candidates each size gives, and what stays of all.
        scales: Length of the shorter side, and of the longer one at most.
    """

    def __init__(self, module: nn.Module, scales: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.module = _detector(module)
        self.scales = [tuple(x) for x in scales]

    def test_step(self, data: dict[str, Any]) -> list[BaseDataElement]:
        """The samples, with ``pred_instances``, of a test pipeline's batch."""
        data = self.module.data_preprocessor(data, False)
        found = []
        for image, sample in zip(data['inputs'], data['data_samples']):
            height, width = sample.img_shape[:2]
            whole = _view(image[None, :, :height, :width], [sample])
            sizes = [rescaled_size(height, width, *x) for x in self.scales]
            views = [self._resized(whole, *size) for size in sizes]
            found += detect_in_views(self.module, views)
        return _with_predictions(data['data_samples'], found)

    def _resized(self, view: View, height: int, width: int) -> View:
        image = F.interpolate(
            view.inputs, (height, width), mode='bilinear', align_corners=True
        )
        preprocessor = self.module.data_preprocessor
        divisor = preprocessor.pad_size_divisor
        padding = (0, -width % divisor, 0, -height % divisor)
        image = F.pad(image, padding, value=preprocessor.pad_value)
        limits = view.limits.new_tensor([[width, height]])
        scales = view.scales * limits / view.limits
        return replace(view, inputs=image, limits=limits, scales=scales)


def rescaled_size(height: int, width: int, short: int, long: int) -> tuple[int, int]:
    """Height and width that maskrcnn-benchmark resizes an image to, in pixels.

    Args:
        height: Of the image, pixels.
        width: Of the image, pixels.
        short: Length of the shorter side.
        long: Length of the longer side at most.
    """
    low, high = min(height, width), max(height, width)
    if high / low * short > long:
        short = round(long * low / high)
    if width < height:
        return int(short * height / width), short
    return short, int(short * width / height)


def _detector(module: nn.Module) -> Any:
    return module.module if is_model_wrapper(module) else module


def _view(inputs: Tensor, samples: Sequence[BaseDataElement]) -> View:
    sizes = [sample.img_shape[1::-1] for sample in samples]
    factors = [sample.get('scale_factor', (1.0, 1.0)) for sample in samples]
    # Some devices have no float64.
    exact = torch.float32 if inputs.device.type == 'mps' else torch.float64
    limits, scales = torch.tensor([sizes, factors], dtype=exact).to(inputs.device)
    flips = [x.flip_direction if x.get('flip') else None for x in samples]
    return View(inputs, limits, scales, flips)


def _with_predictions(
    samples: list[BaseDataElement], found: list[Detections]
) -> list[BaseDataElement]:
    for sample, (boxes, scores, labels) in zip(samples, found):
        sample.pred_instances = InstanceData(bboxes=boxes, scores=scores, labels=labels)
    return samples
