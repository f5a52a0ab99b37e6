"""Task alignment learning, TOOD's objective, on any dense head.

Feng et al., "TOOD: Task-aligned One-stage Object Detection", ICCV 2021,
https://arxiv.org/abs/2108.07755; details are MMDetection's, whose TOODHead
has a head of its own too, and begins with another assignment.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from freeanchor.boxes import centred_inside, pairwise_iou, task_aligned_assign
from freeanchor.boxes.centres import holds_centre
from freeanchor.registry import MODELS
from freeanchor.structures import DensePredictions, Objects

from .background import background_and_logits
from .base import DenseLoss
from .entries import Entries
from .functional import focal_negative, giou_loss, quality_focal, wide
from .ignore import inside_images, outside_ignored
from .matched import read_boxes
from .normalizer import mean_over_processes

# Pixels by which an anchor's centre has to lie inside an object.
_MARGIN = 0.01


class Alignment(NamedTuple):
    """The anchors that objects ask for."""

    anchor: Tensor  # (G, K) int64
    target: Tensor  # (G, K) in [0, 1], the score to reach; 0 if not assigned


@MODELS.register_module()
class TALLoss(DenseLoss):
    """Positives are the anchors that score and locate an object best by now.

    An anchor's alignment with an object is ``score^alpha * IoU^beta``. The
    score it should reach is its alignment, scaled so that an object's best is
    the best overlap its anchors have; and that is the weight of its box.

    Args:
        num_candidates: Anchors that an object asks for.
        alpha: Power of the score in the alignment.
        beta: Power of the overlap in the alignment.
        gamma: Focusing power of the quality focal loss.
        box_weight: Weight of the GIoU loss.
        eps: Added to an object's best alignment before the scaling: it fades
            objects that nothing fits yet. None of it in the paper; 1e-7 in
            MMDetection.
        ignore_iof_thr: An anchor with more than this share of its area in an
            ignored region is no negative; None for all to count.
    """

    def __init__(
        self,
        num_candidates: int = 13,
        alpha: float = 1.0,
        beta: float = 6.0,
        gamma: float = 2.0,
        box_weight: float = 2.0,
        eps: float = 0.0,
        ignore_iof_thr: float | None = None,
    ) -> None:
        super().__init__()
        self.num_candidates = num_candidates
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.box_weight = box_weight
        self.eps = eps
        self.ignore_iof_thr = ignore_iof_thr

    def forward(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, Tensor]:
        """Quality focal loss of the scores, GIoU loss of the boxes.

        Returns:
            ``loss_cls`` and ``loss_bbox``, scalars.
        """
        anchor, target = self.assign(predictions, objects)
        image = objects.image[:, None]
        counted = self._counted(predictions, objects)
        background, x = background_and_logits(
            predictions,
            self.gamma,
            counted,
            Entries(image, anchor, objects.labels[:, None]),
        )
        target = target.to(x.dtype)
        as_negative = focal_negative(x, self.gamma) * counted[image, anchor]
        correction = quality_focal(x, target, self.gamma) - as_negative
        correction = torch.where(target > 0, correction, 0)

        boxes = read_boxes(predictions, image, anchor)  # (G, K, 4)
        distance = giou_loss(boxes, objects.boxes[:, None].to(boxes.dtype))
        total = mean_over_processes(target.sum(), x.device)
        return dict(
            loss_cls=(background + correction.sum()) / total,
            loss_bbox=self.box_weight * (target * distance).sum() / total,
        )

    @torch.no_grad()
    def assign(self, predictions: DensePredictions, objects: Objects) -> Alignment:
        """The anchors of each object and what they should score."""
        anchors = torch.cat(predictions.anchors)
        found, first = [], 0
        for i, boxes in enumerate(objects.boxes.split(objects.counts)):
            labels = objects.labels[first : first + len(boxes)]
            first += len(boxes)
            ious = pairwise_iou(boxes, predictions.boxes(i).to(boxes.dtype))  # (G, A)
            logits = [wide(x[i][..., labels].flatten(0, 1)) for x in predictions.logits]
            log_scores = F.logsigmoid(torch.cat(logits).T)
            # In logarithms, because IoU^6 underflows.
            alignment = self.alpha * log_scores + self.beta * ious.log()
            valid = centred_inside(anchors, *objects.pad_shapes[i])
            alignment = alignment.where(valid, -torch.inf)
            anchor, given = task_aligned_assign(
                alignment,
                ious,
                holds_centre(boxes, anchors, _MARGIN),
                self.num_candidates,
            )
            target = self._target(
                alignment.gather(1, anchor), ious.gather(1, anchor), given
            )
            found.append((anchor, target))
        return Alignment(*map(torch.cat, zip(*found)))

    def _target(self, alignment: Tensor, ious: Tensor, given: Tensor) -> Tensor:
        """Alignments, scaled so that an object's best is its best overlap."""
        best = alignment.where(given, -torch.inf).amax(dim=1, keepdim=True)
        best = torch.logaddexp(best, best.new_full((), self.eps).log())
        best_iou = ious.where(given, 0).amax(dim=1, keepdim=True)
        return torch.where(given, (alignment - best).exp() * best_iou, 0)

    def _counted(self, predictions: DensePredictions, objects: Objects) -> Tensor:
        """``(B, A)`` bool, anchors that may be background."""
        valid = inside_images(predictions, objects)
        outside = outside_ignored(predictions, objects, self.ignore_iof_thr)
        return valid if outside is None else valid & outside
