"""FreeAnchor: matching of anchors and objects, learned with the detector.

Zhang et al., "FreeAnchor: Learning to Match Anchors for Visual Object
Detection", NeurIPS 2019, https://arxiv.org/abs/1909.02466.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from freeanchor.boxes import most_overlapping, overlapping
from freeanchor.registry import MODELS
from freeanchor.structures import DensePredictions, Objects

from .background import background_and_logits, is_fused
from .base import DenseLoss
from .entries import Entries
from .functional import (
    focal_negative,
    focal_negative_unless_matched,
    negative_log_mean_max,
    saturated_linear_of_pairs,
)
from .ignore import outside_ignored
from .localization import Distance, SmoothL1Distance
from .normalizer import is_distributed, mean_over_processes
from .reading import read_once


class Matches(NamedTuple):
    """The few (image, anchor, class) whose box fits an object of the class."""

    image: Tensor  # (N,)
    anchor: Tensor  # (N,)
    label: Tensor  # (N,)
    prob: Tensor  # (N,) P{a -> b}, above 0, the highest over the objects


@MODELS.register_module()
class FreeAnchorLoss(DenseLoss):
    """Ask of each object that some anchor of its bag finds it, and of each
    anchor that fits no object to say background.

    Args:
        bag_size: Anchors in an object's bag, the ones that overlap it most.
        iou_thr: Overlap up to which a predicted box counts as background.
        alpha: Weight of the positive term; the negative one has ``1 - alpha``.
        gamma: Focusing power of the negative term.
        box_weight: The paper's beta: how fast localisation confidence falls
            with the distance of the boxes, smooth L1 of the deltas.
        beta: Where that distance turns from quadratic to linear; 0 for L1.
        ignore_iof_thr: An anchor with more than this share of its area in an
            ignored region is no negative. None, as in MMDetection: ignored
            regions are background.
        global_normalizer: Divide by the objects of all processes instead of
            those of this one, so that the gradient does not depend on how the
            batch is spread.
        localization: Config of another distance, as ``GIoUDistance``; ``beta``
            then has no meaning.

    The positive term is computed in logarithms: an object that no anchor
    finds, however unlikely, has a gradient.
    """

    def __init__(
        self,
        bag_size: int = 50,
        iou_thr: float = 0.6,
        alpha: float = 0.5,
        gamma: float = 2.0,
        box_weight: float = 0.75,
        beta: float = 0.11,
        ignore_iof_thr: float | None = None,
        global_normalizer: bool = False,
        localization: dict | None = None,
    ) -> None:
        super().__init__()
        self.bag_size = bag_size
        self.iou_thr = iou_thr
        self.alpha = alpha
        self.gamma = gamma
        self.box_weight = box_weight
        self.beta = beta
        self.ignore_iof_thr = ignore_iof_thr
        self.global_normalizer = global_normalizer
        self.distance: Distance = (
            MODELS.build(localization) if localization else SmoothL1Distance(beta)
        )

    def forward(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, Tensor]:
        """The two terms of the paper's equation 9.

        Returns:
            ``positive_bag_loss`` and ``negative_bag_loss``, scalars.
        """
        bag = self.bags(torch.cat(predictions.anchors), objects.boxes)  # (G, K)
        members = Entries(objects.image[:, None], bag, objects.labels[:, None])
        negative, logits = self.negative_bag_loss(predictions, objects, members)
        positive = self.positive_bag_loss(predictions, objects, bag, logits).sum()
        num_objects = self._normalizer(len(objects), positive.device)
        num_members = self._normalizer(len(objects) * self.bag_size, positive.device)
        return dict(
            positive_bag_loss=self.alpha * positive / num_objects,
            negative_bag_loss=(1 - self.alpha) * negative / num_members,
        )

    def counts(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, int | Tensor]:
        if self.global_normalizer and is_distributed():
            raise NotImplementedError('global_normalizer=True counts on all processes')
        return dict(
            positive_bag_loss=len(objects),
            negative_bag_loss=len(objects) * self.bag_size,
        )

    @torch.no_grad()
    def bags(self, anchors: Tensor, boxes: Tensor) -> Tensor:
        """``(G, K)`` indices of the anchors that overlap each object most."""
        return most_overlapping(anchors, boxes, self.bag_size)

    def positive_bag_loss(
        self,
        predictions: DensePredictions,
        objects: Objects,
        bag: Tensor,
        logits: Tensor,
    ) -> Tensor:
        """-log of how likely the best anchors of each bag find the object.

        Args:
            predictions: Of the batch.
            objects: Of the batch.
            bag: ``(G, K)`` int64, the anchors of each bag.
            logits: ``(G, K)`` theirs, for the object's class.

        Returns:
            ``(G,)`` cost of each object.
        """
        distance = self.distance(
            predictions, objects.boxes[:, None], objects.image[:, None], bag
        )  # (G, K)
        # P_cls = sigmoid(logit), P_loc = exp(-box_weight * distance)
        return negative_log_mean_max(F.logsigmoid(logits) - self.box_weight * distance)

    def negative_bag_loss(
        self, predictions: DensePredictions, objects: Objects, members: Entries
    ) -> tuple[Tensor, Tensor]:
        """Cost of every confident anchor, the less the better its box fits.

        The sum over all anchors and classes as if none fitted, and a
        correction where one does.

        Args:
            predictions: Of the batch.
            objects: Of the batch.
            members: Of the bags: their logits are read along the way.

        Returns:
            Scalar, the sum over images, anchors and classes; and the logits of
            ``members``, in their shape.
        """
        counted = outside_ignored(predictions, objects, self.ignore_iof_thr)
        if is_fused(predictions):
            return self._fused_negative(predictions, objects, members, counted)
        image, anchor, label, prob = self.matches(predictions, objects)
        matched = Entries(image, anchor, label)
        as_if_none_fitted, x, logits = background_and_logits(
            predictions, self.gamma, counted, matched, members
        )
        correction = focal_negative_unless_matched(
            x, prob.to(x.dtype), self.gamma
        ) - focal_negative(x, self.gamma)
        if counted is not None:
            correction = correction * counted[image, anchor]
        return as_if_none_fitted + correction.sum(), logits

    @torch.no_grad()
    def matches(self, predictions: DensePredictions, objects: Objects) -> Matches:
        """Where and how well predicted boxes fit objects: P{a -> b}."""
        pairs, first = [], 0
        for i, own in enumerate(objects.boxes.split(objects.counts)):
            object_, *rest = overlapping(predictions.boxes(i), own, self.iou_thr)
            pairs.append((object_ + first, *rest))
            first += len(own)
        object_, anchor, iou = map(torch.cat, zip(*pairs))
        prob = saturated_linear_of_pairs(iou, object_, len(objects), self.iou_thr)
        image, label = objects.image[object_], objects.labels[object_]

        # Several objects of a class may claim one anchor: the best counts.
        num_anchors, num_classes = predictions.num_anchors, predictions.num_classes
        place = (image * num_anchors + anchor) * num_classes + label
        place, row = place.unique(return_inverse=True)
        best = torch.zeros_like(place, dtype=prob.dtype)
        best.scatter_reduce_(0, row, prob, 'amax')

        anchor, label = place // num_classes, place % num_classes
        return Matches(anchor // num_anchors, anchor % num_anchors, label, best)

    def _fused_negative(
        self,
        predictions: DensePredictions,
        objects: Objects,
        members: Entries,
        counted: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """The same in kernels: no list of matches has to leave the device."""
        from .kernels.triton_background import TritonBackground
        from .kernels.triton_entries import TritonEntries
        from .kernels.triton_matches import TritonMatches

        as_if_none_fitted, correction, logits = read_once(
            predictions.logits,
            TritonBackground(self.gamma, counted),
            TritonMatches(predictions, objects, self.iou_thr, self.gamma, counted),
            TritonEntries(members),
        )
        return as_if_none_fitted + correction, logits

    def _normalizer(self, count: int, device: torch.device) -> int | Tensor:
        if self.global_normalizer:
            return mean_over_processes(count, device)
        return max(count, 1)
