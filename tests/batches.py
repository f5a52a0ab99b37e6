"""Small predictions and objects to try losses on."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor

from freeanchor.boxes import AnchorGenerator, DeltaBoxCoder
from freeanchor.structures import DensePredictions, Objects

STDS = (0.1, 0.1, 0.2, 0.2)


def sample(
    boxes: Sequence[Sequence[float]] | Tensor,
    labels: Sequence[int] | Tensor,
    img_shape: tuple[int, int] = (64, 64),
    ignored: Sequence[Sequence[float]] | None = None,
    **metainfo: Any,
) -> BaseDataElement:
    """One image's ground truth, as the pipeline packs it."""
    shapes = dict(
        img_shape=img_shape, pad_shape=img_shape, ori_shape=img_shape,
        scale_factor=(1.0, 1.0),
    )  # fmt: skip
    element = BaseDataElement(metainfo={**shapes, **metainfo})
    element.gt_instances = _instances(boxes, labels)
    if ignored is not None:
        element.ignored_instances = _instances(ignored, [0] * len(ignored))
    return element


def predictions(
    num_images: int = 2,
    num_classes: int = 3,
    size: int = 64,
    strides: Sequence[int] = (16, 32),
    dtype: torch.dtype = torch.float32,
    logit: float | None = None,
    stds: Sequence[float] = STDS,
    with_quality: bool = False,
    **anchors: Any,
) -> DensePredictions:
    """Random leaves that require gradients, or all logits the same.

    ``anchors`` are further arguments of the generator.
    """
    generator = AnchorGenerator(strides, **anchors)
    cells = [(-(-size // s), -(-size // s)) for s in strides]
    counts = [h * w for h, w in cells]

    def leaf(count: int, width: int, mean: float, std: float) -> Tensor:
        shape = num_images, count, generator.num_anchors, width
        values = torch.randn(shape, dtype=torch.float64)
        return (mean + std * values).to(dtype).requires_grad_()

    logits = [leaf(n, num_classes, -2.0, 1.5) for n in counts]
    if logit is not None:
        logits = [torch.full_like(x, logit).requires_grad_() for x in logits]
    return DensePredictions(
        logits=tuple(logits),
        deltas=tuple(leaf(n, 4, 0.0, 0.5) for n in counts),
        anchors=generator(cells),
        coder=DeltaBoxCoder(stds),
        quality=tuple(leaf(n, 1, 0.0, 1.0) for n in counts) if with_quality else (),
    )


def flat(levels: Sequence[Tensor]) -> Tensor:
    """Per level ``(B, P_l, K, W)`` to ``(B, A, W)``."""
    return torch.cat([x.flatten(1, 2) for x in levels], dim=1)


def objects(*samples: BaseDataElement) -> Objects:
    return Objects.gather(samples)


def gradients(loss: dict[str, Tensor], batch: DensePredictions) -> list[Tensor]:
    """Of the sum of all terms, in logits, deltas and quality, level by level."""
    leaves = [*batch.logits, *batch.deltas, *batch.quality]
    return list(torch.autograd.grad(sum(loss.values()), leaves))


def _instances(boxes: Any, labels: Any) -> InstanceData:
    return InstanceData(
        bboxes=torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.as_tensor(labels, dtype=torch.long).reshape(-1),
    )
