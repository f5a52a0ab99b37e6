"""What FreeAnchor matches with each object, as numbers to look at."""

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from freeanchor.boxes import pairwise_iou
from freeanchor.structures import DensePredictions, Objects

from .entries import Entries, read_entries
from .free_anchor import FreeAnchorLoss
from .matched import read_boxes
from .retina import RetinaLoss


@dataclass(frozen=True)
class BagView:
    """One object's bag, and who claims the object; boxes are xyxy, pixels.

    K anchors in the bag, N that claim the object, M that a rule of overlap would
    have chosen. Tensors are on the CPU.
    """

    box: Tensor  # (4,) the object
    label: int
    anchors: Tensor  # (K, 4) the bag
    overlaps: Tensor  # (K,) IoU of the anchors with the object
    predicted: Tensor  # (K, 4) the boxes that the bag's anchors predict
    p_cls: Tensor  # (K,) of the object's class
    p_loc: Tensor  # (K,)
    weights: Tensor  # (K,) shares in Mean-max, their sum is 1
    mean_max: float  # of P_cls * P_loc: how likely the bag finds the object
    claiming: Tensor  # (N, 4) anchors, in the bag or not, whose box fits
    claimed: Tensor  # (N, 4) the boxes that they predict
    claims: Tensor  # (N,) P{a -> b}, above 0
    by_overlap: Tensor  # (M, 4) the anchors that the rule of overlap would train


@torch.no_grad()
def view_bags(
    loss: FreeAnchorLoss,
    predictions: DensePredictions,
    objects: Objects,
    rule: RetinaLoss | None = None,
) -> list[BagView]:
    """Look at the bag of each object with the loss's own eyes.

    Args:
        loss: Its bags, distances and matches are shown.
        predictions: Of the batch.
        objects: Of the batch.
        rule: The assignment by overlap that is shown beside; RetinaNet's.

    Returns:
        A view for each object, in order.
    """
    anchors = torch.cat(predictions.anchors)
    bag = loss.bags(anchors, objects.boxes)  # (G, K)
    image = objects.image[:, None].expand_as(bag)
    logits = read_entries(
        predictions.logits, Entries(image, bag, objects.labels[:, None])
    )
    distance = loss.distance(predictions, objects.boxes[:, None], image, bag)
    cost = loss.positive_bag_loss(predictions, objects, bag, logits)
    log_found = F.logsigmoid(logits) - loss.box_weight * distance  # (G, K)
    # Mean-max weights each member by 1 / (1 - P).
    odds = -torch.log(-torch.expm1(log_found.double().clamp(max=-1e-12)))
    assigned = (rule or RetinaLoss()).assign(predictions, objects)  # (B, A)
    views = []
    for row in range(len(objects)):
        own = _only(objects, row)
        found = loss.matches(predictions, own)
        views.append(
            BagView(
                box=objects.boxes[row],
                label=int(objects.labels[row]),
                anchors=anchors[bag[row]],
                overlaps=pairwise_iou(own.boxes, anchors[bag[row]])[0],
                predicted=read_boxes(predictions, image[row], bag[row]),
                p_cls=logits[row].sigmoid(),
                p_loc=torch.exp(-loss.box_weight * distance[row]),
                weights=odds[row].softmax(dim=0),
                mean_max=float(torch.exp(-cost[row])),
                claiming=anchors[found.anchor],
                claimed=read_boxes(predictions, found.image, found.anchor),
                claims=found.prob,
                by_overlap=anchors[assigned[objects.image[row]] == row],
            )
        )
    return [_on_cpu(view) for view in views]


def scaled(view: BagView, factor: tuple[float, float]) -> BagView:
    """The view in pixels of another size.

    Args:
        view: In pixels of the network's input.
        factor: Width and height of the other picture over those of the input.
    """
    by = torch.tensor([*factor, *factor])
    names = 'box', 'anchors', 'predicted', 'claiming', 'claimed', 'by_overlap'
    return replace(view, **{name: getattr(view, name) * by for name in names})


def _only(objects: Objects, row: int) -> Objects:
    """A batch with the same images, of whose objects one is left."""
    image = int(objects.image[row])
    return replace(
        objects,
        boxes=objects.boxes[row : row + 1],
        labels=objects.labels[row : row + 1],
        image=objects.image[row : row + 1],
        counts=tuple(int(i == image) for i in range(len(objects.counts))),
    )


def _on_cpu(view: BagView) -> BagView:
    moved: dict[str, Any] = {
        name: x.cpu() for name, x in vars(view).items() if isinstance(x, Tensor)
    }
    return replace(view, **moved)
