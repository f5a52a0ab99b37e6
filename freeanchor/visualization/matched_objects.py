"""From a sample of a data set to views of what a detector matches in it."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from freeanchor.losses.bag_view import BagView, scaled, view_bags
from freeanchor.structures import Objects

Sample = dict[str, Any]


@dataclass(frozen=True)
class Moment:
    """What a detector matched with an object, at one time of its training."""

    name: str  # 'epoch 3'
    view: BagView


@torch.no_grad()
def view_matching(model: Any, sample: Sample) -> list[BagView]:
    """What a detector trained with FreeAnchorLoss matches with each object.

    Args:
        model: A detector in evaluation mode, no wrapper around it.
        sample: What a pipeline packed: ``inputs`` ``(3, H, W)`` and
            ``data_samples`` with ``gt_instances``, not flipped.

    Returns:
        A view for each object, its boxes in pixels of the original image.
    """
    element = sample['data_samples']
    packed = dict(inputs=[sample['inputs']], data_samples=[element])
    data = model.data_preprocessor(packed, False)
    predictions = model(data['inputs'], mode='tensor')
    objects = Objects.gather([element], data['inputs'].device)
    with torch.autocast(data['inputs'].device.type, enabled=False):
        views = view_bags(model.loss, predictions, objects)
    width, height = element.get('scale_factor', (1.0, 1.0))
    return [scaled(view, (1 / width, 1 / height)) for view in views]


def has_objects(sample: Sample) -> bool:
    """Whether there is something to match."""
    return len(sample['data_samples'].get('gt_instances', ())) > 0


def first_sample(dataset: Any) -> Sample:
    """The first sample; random generators stay as they are."""
    python, of_numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        sample: Sample = dataset[0]
    random.setstate(python)
    np.random.set_state(of_numpy)
    return sample


def largest_first(views: list[BagView], count: int) -> list[int]:
    """Rows of the largest objects, at most ``count`` of them."""
    boxes = torch.stack([view.box for view in views])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    return areas.argsort(descending=True, stable=True)[:count].tolist()


def picture_name(sample: Sample, row: int) -> str:
    """File name, without its ending, of an object's picture."""
    element = sample['data_samples']
    parts = [Path(element.img_path).stem, element.get('img_id'), f'object{row}']
    return '_'.join(str(part) for part in parts if part is not None)
