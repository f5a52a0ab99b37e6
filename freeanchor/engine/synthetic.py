"""Random batches and an optimiser for them: a training step without a data set."""

from typing import Any

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement, InstanceData
from torch import nn

from freeanchor.registry import SCOPE

from .optim import prefer_fused


def batch_of(
    images: int, size: tuple[int, int], objects: int, classes: int, seed: int = 0
) -> dict[str, Any]:
    """A batch as the data loader gives it.

    Args:
        images: Number of images.
        size: Height and width of each, in pixels.
        objects: Objects in each; between a 20th and half of the image's sides.
        classes: Number of classes.
        seed: Of the random numbers.

    Returns:
        ``inputs``, uint8 images ``(3, H, W)``, and ``data_samples``.
    """
    random = torch.Generator().manual_seed(seed)
    height, width = size
    samples = []
    for _ in range(images):
        limits = torch.tensor([width, height])
        sides = limits * (0.05 + 0.45 * torch.rand(objects, 2, generator=random))
        corner = (limits - sides) * torch.rand(objects, 2, generator=random)
        sample = BaseDataElement(metainfo=dict(img_shape=size, ori_shape=size))
        sample.gt_instances = InstanceData(
            bboxes=torch.cat([corner, corner + sides], dim=1),
            labels=torch.randint(classes, (objects,), generator=random),
        )
        samples.append(sample)
    pixels = torch.randint(256, (images, 3, *size), generator=random, dtype=torch.uint8)
    return dict(inputs=list(pixels), data_samples=samples)


def optim_wrapper_of(model: nn.Module, config: dict, device: str) -> Any:
    """The optimiser wrapper that a runner would build from ``config``."""
    with DefaultScope.overwrite_default_scope(SCOPE):
        return build_optim_wrapper(model, prefer_fused(dict(config), device))
