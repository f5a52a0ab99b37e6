"""AutoAssign: weights of positives and negatives learned with the detector.

Zhu et al., "AutoAssign: Differentiable Label Assignment for Dense Object
Detection", 2020, https://arxiv.org/abs/2007.03496; details are MMDetection's.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from freeanchor.boxes import pairwise_iou
from freeanchor.boxes.centres import centres, holds_centre
from freeanchor.registry import MODELS
from freeanchor.structures import DensePredictions, Objects

from .background import background_and_logits
from .base import DenseLoss
from .center_prior import CenterPrior
from .entries import Entries
from .functional import (
    focal_negative,
    focal_negative_unless_matched,
    giou_loss,
    joint_logit,
    wide,
)
from .grouping import group_equal, logsumexp_of_groups
from .ignore import outside_ignored
from .matched import read_boxes
from .normalizer import is_distributed, mean_over_processes

# How much more a confident anchor weighs for its object: section 3.4.
_CONFIDENCE = 3.0
_EPS = 1e-12


class Pairs(NamedTuple):
    """Each object with each anchor that is centred in it."""

    object: Tensor  # (N,)
    image: Tensor  # (N,)
    anchor: Tensor  # (N,)
    label: Tensor  # (N,)
    iou: Tensor  # (N,) of the anchor's box with any object of the image


@MODELS.register_module()
class AutoAssignLoss(DenseLoss):
    """All anchors in an object are positive and negative, by learned weights.

    Made for a head with one anchor at each position and a quality branch,
    which learns where there is any object: AutoAssign's implicit objectness.
    Without the branch the class scores stand alone.

    Unlike in MMDetection, an object that holds no centre of an anchor costs
    nothing (there a constant), and where objects of a class share an anchor
    the one it fits best counts (there the last).

    Args:
        num_classes: Classes, as the head's.
        anchor_scale: Side of an anchor in strides, ``octave_base_scale`` of
            the anchors: the prior counts in strides.
        gamma: Focusing power of the negative term.
        box_weight: How fast localisation confidence falls with the GIoU loss.
        positive_weight: Weight of the positive term.
        negative_weight: Weight of the negative term.
        center_weight: Weight of the term that keeps the prior wide.
        ignore_iof_thr: An anchor with more than this share of its area in an
            ignored region is no negative; None for all to count.
    """

    reads_quality = True

    def __init__(
        self,
        num_classes: int,
        anchor_scale: float = 8.0,
        gamma: float = 2.0,
        box_weight: float = 5.0,
        positive_weight: float = 0.25,
        negative_weight: float = 0.75,
        center_weight: float = 0.75,
        ignore_iof_thr: float | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.anchor_scale = anchor_scale
        self.gamma = gamma
        self.box_weight = box_weight
        self.positive_weight = positive_weight
        self.negative_weight = negative_weight
        self.center_weight = center_weight
        self.ignore_iof_thr = ignore_iof_thr
        self.center_prior = CenterPrior(num_classes)

    def forward(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, Tensor]:
        """The paper's two terms, and one for the prior.

        Returns:
            ``loss_pos``, ``loss_neg`` and ``loss_center``, scalars.

        Raises:
            ValueError: The head has another number of classes.
        """
        if predictions.num_classes != self.num_classes:
            raise ValueError(
                f'model.loss.num_classes is {self.num_classes}, but the head has '
                f'{predictions.num_classes} classes: make them equal'
            )
        pairs = self.pairs(predictions, objects)
        negative, logits = self.negative_loss(predictions, objects, pairs)
        log_prior = self._log_prior(predictions, objects, pairs).to(logits.dtype)
        positive = self.positive_loss(predictions, objects, pairs, logits, log_prior)
        prior = log_prior.exp()
        num_objects = mean_over_processes(len(objects), prior.device)
        total_prior = mean_over_processes(prior.detach().sum(), prior.device)
        return dict(
            loss_pos=self.positive_weight * positive / num_objects,
            loss_neg=self.negative_weight * negative / total_prior,
            loss_center=self.center_weight
            * self.center_loss(prior, pairs, objects)
            / predictions.num_images,
        )

    def counts(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, int | Tensor]:
        if is_distributed():
            raise NotImplementedError('AutoAssignLoss counts on all processes')
        pairs = self.pairs(predictions, objects)
        return dict(
            loss_pos=len(objects),
            loss_neg=self._log_prior(predictions, objects, pairs).exp().sum().detach(),
            loss_center=predictions.num_images,
        )

    @torch.no_grad()
    def pairs(self, predictions: DensePredictions, objects: Objects) -> Pairs:
        """Each object with each anchor that is centred in it."""
        anchors, first, found = torch.cat(predictions.anchors), 0, []
        for i, own in enumerate(objects.boxes.split(objects.counts)):
            inside = holds_centre(own, anchors)
            object_, anchor = inside.nonzero(as_tuple=True)
            (near,) = inside.any(dim=0).nonzero(as_tuple=True)
            boxes = read_boxes(predictions, torch.full_like(near, i), near)
            # With any object, not the pair's: as MMDetection has it.
            best = boxes.new_zeros(len(anchors))
            if len(own):  # no maximum without
                best[near] = pairwise_iou(boxes, own.to(boxes.dtype)).amax(dim=1)
            found.append((object_ + first, anchor, best[anchor]))
            first += len(own)
        object_, anchor, iou = map(torch.cat, zip(*found))
        image, label = objects.image[object_], objects.labels[object_]
        return Pairs(object_, image, anchor, label, iou)

    def positive_loss(
        self,
        predictions: DensePredictions,
        objects: Objects,
        pairs: Pairs,
        logits: Tensor,
        log_prior: Tensor,
    ) -> Tensor:
        """-log of the mean confidence in each object, weighted by itself.

        Args:
            predictions: Of the batch.
            objects: Of the batch.
            pairs: N of them.
            logits: ``(N,)`` of being of the object's class.
            log_prior: ``(N,)``

        Returns:
            Scalar, the sum over the objects.
        """
        boxes = read_boxes(predictions, pairs.image, pairs.anchor)
        distance = giou_loss(boxes, objects.boxes[pairs.object].to(boxes.dtype))
        log_p = F.logsigmoid(logits) - self.box_weight * distance
        log_weight = _CONFIDENCE * log_p.exp() + log_prior
        place = pairs.object, len(objects)
        weighted = logsumexp_of_groups(log_weight + log_p, *place)
        return (logsumexp_of_groups(log_weight, *place) - weighted).sum()

    def negative_loss(
        self, predictions: DensePredictions, objects: Objects, pairs: Pairs
    ) -> tuple[Tensor, Tensor]:
        """Cost of every confident anchor, the less the better its box fits.

        Returns:
            Scalar, the sum over images, anchors and classes; and the ``(N,)``
            logits of the pairs.
        """
        joint = predictions
        if predictions.quality:
            levels = zip(predictions.logits, predictions.quality)
            logits = tuple(joint_logit(wide(x), wide(q)) for x, q in levels)
            joint = replace(predictions, logits=logits)
        counted = outside_ignored(predictions, objects, self.ignore_iof_thr)
        entries = Entries(pairs.image, pairs.anchor, pairs.label)
        background, x = background_and_logits(joint, self.gamma, counted, entries)

        place = pairs.image * predictions.num_anchors + pairs.anchor
        groups = group_equal(place * self.num_classes + pairs.label)
        fit = _fit(pairs, len(objects)).to(x.dtype)
        best = torch.zeros_like(fit).scatter_reduce(0, groups.number, fit, 'amax')
        unless = focal_negative_unless_matched(x, best[groups.number], self.gamma)
        correction = (unless - focal_negative(x, self.gamma)) * groups.is_first
        if counted is not None:
            correction = correction * counted[pairs.image, pairs.anchor]
        return background + correction.sum(), x

    def center_loss(self, prior: Tensor, pairs: Pairs, objects: Objects) -> Tensor:
        """Objects over the sum of their prior, summed over the images."""
        num_images = len(objects.counts)
        total = prior.new_zeros(num_images).index_add(0, pairs.image, prior)
        # An image whose objects hold no centre has no prior to widen.
        number = torch.bincount(objects.image, minlength=num_images)
        return torch.where(total > 0, number / total.clamp(min=_EPS), 0).sum()

    def _log_prior(
        self, predictions: DensePredictions, objects: Objects, pairs: Pairs
    ) -> Tensor:
        anchors = torch.cat(predictions.anchors)[pairs.anchor]
        sides = (anchors[:, 2:] - anchors[:, :2]).prod(dim=-1, keepdim=True).sqrt()
        offset = centres(anchors) - centres(objects.boxes)[pairs.object]
        return self.center_prior(offset * self.anchor_scale / sides, pairs.label)


def _fit(pairs: Pairs, num_objects: int) -> Tensor:
    """``(N,)`` how well an anchor's box fits, from 0 to 1 within each object."""
    sharp = 1 / (1 - pairs.iou).clamp(min=_EPS)
    rows = torch.zeros(num_objects, dtype=sharp.dtype, device=sharp.device)
    low, high = (
        rows.scatter_reduce(0, pairs.object, sharp, end, include_self=False)
        for end in ('amin', 'amax')
    )
    low, high = low[pairs.object], high[pairs.object]
    return (sharp - low + _EPS) / (high - low + _EPS)
