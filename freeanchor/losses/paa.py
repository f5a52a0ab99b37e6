"""PAA: anchors are positive with a probability that the detector tells.

Kim and Lee, "Probabilistic Anchor Assignment with IoU Prediction for Object
Detection", ECCV 2020, https://arxiv.org/abs/2007.08103.
"""

from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from freeanchor.boxes import IGNORED, aligned_iou
from freeanchor.registry import MODELS
from freeanchor.structures import DensePredictions, Objects

from .assigning import assign_anchors
from .background import background_and_logits
from .base import DenseLoss
from .entries import Entries
from .functional import focal_negative, focal_positive, giou_loss
from .gaussian_mixture import fit_two_gaussians
from .ignore import outside_ignored
from .matched import read_boxes, read_quality
from .ranking import best_of_groups

# Of overlaps, where no box overlaps its object.
_LEAST_SUM = torch.finfo(torch.float32).eps
# Log densities that differ by less, by rounding of costs, are equal.
_AS_DENSE = 1e-6


@MODELS.register_module()
class PAALoss(DenseLoss):
    """Positive are the anchors that the detector itself does well with.

    An object's candidates are the anchors that overlap it. A mixture of two
    Gaussians, fitted to their present costs, tells the good from the bad.

    Args:
        candidate_iou: Anchors that overlap an object at least so much are its
            candidates; of several objects, the one they overlap most.
        topk: Candidates of each object and level that the mixture is fitted
            to, those of least cost.
        alpha: Weight of positives in the focal loss; negatives have
            ``1 - alpha``.
        gamma: Focusing power of the focal loss.
        box_weight: Weight of the generalised IoU loss of the boxes, in the
            candidates' costs as well.
        quality_weight: Weight of the loss of predicted overlaps; a head without
            a quality branch has none.
        ignore_iof_thr: An anchor with more than this share of its area in an
            ignored region is no negative; None for all to count.
    """

    reads_quality = True

    def __init__(
        self,
        candidate_iou: float = 0.1,
        topk: int = 9,
        alpha: float = 0.25,
        gamma: float = 2.0,
        box_weight: float = 1.3,
        quality_weight: float = 0.5,
        ignore_iof_thr: float | None = None,
    ) -> None:
        super().__init__()
        self.candidate_iou = candidate_iou
        self.topk = topk
        self.alpha = alpha
        self.gamma = gamma
        self.box_weight = box_weight
        self.quality_weight = quality_weight
        self.ignore_iof_thr = ignore_iof_thr

    def forward(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, Tensor]:
        """Focal loss, generalised IoU loss, and cross entropy of overlaps.

        Returns:
            ``loss_cls``, ``loss_bbox`` and, of a head with a quality branch,
            ``loss_quality``, scalars.
        """
        candidates = self.candidates(predictions, objects)  # (B, A)
        image, anchor = self.positives(predictions, objects, candidates)  # (N,)
        matched = candidates[image, anchor]
        is_positive = torch.zeros_like(candidates, dtype=torch.bool)
        is_positive[image, anchor] = True
        counted = candidates != IGNORED
        outside = outside_ignored(predictions, objects, self.ignore_iof_thr)
        if outside is not None:
            counted &= outside | is_positive

        loss_cls = self.class_loss(
            predictions, counted, Entries(image, anchor, objects.labels[matched])
        )
        boxes = read_boxes(predictions, image, anchor)  # (N, 4)
        target = objects.boxes[matched].to(boxes.dtype)
        iou = aligned_iou(boxes.detach(), target)
        loss_bbox = self._box_cost(boxes, target) * iou.clamp(min=1e-12)

        # Of this process, as in MMDetection: a process with few boxes has few.
        num_positive = is_positive.sum().clamp(min=1)
        terms = dict(
            loss_cls=loss_cls / num_positive.clamp(min=predictions.num_images),
            loss_bbox=loss_bbox.sum() / iou.sum().clamp(min=_LEAST_SUM),
        )
        if predictions.quality:
            quality = read_quality(predictions, image, anchor)
            cost = F.binary_cross_entropy_with_logits(
                quality, iou.to(quality.dtype), reduction='sum'
            )
            terms['loss_quality'] = self.quality_weight * cost / num_positive
        return terms

    def candidates(self, predictions: DensePredictions, objects: Objects) -> Tensor:
        """The object that each anchor may be positive for.

        Returns:
            ``(B, A)`` int64, indices into ``objects``, or ``BACKGROUND`` or
            ``IGNORED``. Anchors of the padding are ignored.
        """
        iou = self.candidate_iou
        return assign_anchors(predictions, objects, pos_iou=iou, neg_iou=iou)

    @torch.no_grad()
    def positives(
        self, predictions: DensePredictions, objects: Objects, candidates: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The candidates that the mixture of their object takes for good.

        Args:
            predictions: Of the batch.
            objects: Of the batch.
            candidates: ``(B, A)`` as :meth:`candidates` gives them.

        Returns:
            Image and anchor, ``(N,)`` each.
        """
        image, anchor = (candidates >= 0).nonzero(as_tuple=True)  # (M,)
        object_ = candidates[image, anchor]
        costs = self.costs(predictions, objects, image, anchor, object_)
        ends = list(accumulate(map(len, predictions.anchors)))
        level = torch.bucketize(anchor, anchor.new_tensor(ends), right=True)

        # A row for each object, with topk places for each level.
        row, rank = best_of_groups(costs, object_ * len(ends) + level, self.topk)
        place = object_[row], level[row] * self.topk + rank
        shape = len(objects), len(ends) * self.topk
        table = costs.new_zeros(shape).index_put(place, costs[row])
        present = torch.zeros_like(table, dtype=torch.bool)
        present[place] = True
        row = row[are_good(table, present)[place]]
        return image[row], anchor[row]

    @torch.no_grad()
    def costs(
        self,
        predictions: DensePredictions,
        objects: Objects,
        image: Tensor,
        anchor: Tensor,
        object_: Tensor,
    ) -> Tensor:
        """What anchors would cost as positives: the paper's anchor score, -log.

        Args:
            predictions: Of the batch.
            objects: Of the batch.
            image: ``(M,)`` int64.
            anchor: ``(M,)`` int64, counted over the levels in order.
            object_: ``(M,)`` int64, the object that each is tried with.

        Returns:
            ``(M,)`` class cost and box cost together.
        """
        logits = Entries(image, anchor).read(predictions.logits)  # (M, C)
        own = logits.gather(1, objects.labels[object_, None])[:, 0]
        others = (1 - self.alpha) * focal_negative(logits, self.gamma).sum(dim=1)
        boxes = read_boxes(predictions, image, anchor)
        target = objects.boxes[object_].to(boxes.dtype)
        return others + self._as_positive(own) + self._box_cost(boxes, target)

    def class_loss(
        self, predictions: DensePredictions, counted: Tensor, positives: Entries
    ) -> Tensor:
        """Focal loss of all anchors and classes.

        Args:
            predictions: Of the batch.
            counted: ``(B, A)`` bool, anchors that take part.
            positives: What should be 1; the rest should be 0.

        Returns:
            Scalar, a sum.
        """
        background, x = background_and_logits(
            predictions, self.gamma, counted, positives
        )
        return (1 - self.alpha) * background + self._as_positive(x).sum()

    def _as_positive(self, logits: Tensor) -> Tensor:
        """What it costs more to be 1 than to be 0."""
        as_negative = (1 - self.alpha) * focal_negative(logits, self.gamma)
        return self.alpha * focal_positive(logits, self.gamma) - as_negative

    def _box_cost(self, boxes: Tensor, target: Tensor) -> Tensor:
        return self.box_weight * giou_loss(boxes, target)


def are_good(costs: Tensor, present: Tensor) -> Tensor:
    """The candidates of each object that are likely positives.

    Those of the component that began at the least cost, up to the cost where
    the mixture is densest: (c) in the paper's figure 3, as in MMDetection. A
    single candidate is none. Where only two are of the good component the mixture
    is as dense at one as at the other: both are good, where MMDetection leaves it
    to rounding.

    Args:
        costs: ``(G, N)`` of each object's candidates.
        present: ``(G, N)`` bool, which of them are there.

    Returns:
        ``(G, N)`` bool.
    """
    log_parts = fit_two_gaussians(costs, present).log_densities(costs.double())
    good, bad = log_parts.unbind(dim=2)
    good_ones = present & (good >= bad) & (present.sum(dim=1, keepdim=True) > 1)
    log_density = torch.logaddexp(good, bad).where(good_ones, -torch.inf)
    densest = log_density >= log_density.amax(dim=1, keepdim=True) - _AS_DENSE
    last = costs.where(densest & good_ones, -torch.inf).amax(dim=1, keepdim=True)
    return good_ones & (costs <= last)
