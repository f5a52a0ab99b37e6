"""RetinaNet's objective: anchors assigned by overlap, focal loss.

Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017,
https://arxiv.org/abs/1708.02002.
"""

import torch
from torch import Tensor

from freeanchor.boxes import BACKGROUND, IGNORED
from freeanchor.registry import MODELS
from freeanchor.structures import DensePredictions, Objects

from .assigning import assign_anchors
from .background import background_and_logits
from .base import DenseLoss
from .entries import Entries, read_entries
from .functional import focal_negative, focal_positive, smooth_l1
from .ignore import outside_ignored


@MODELS.register_module()
class RetinaLoss(DenseLoss):
    """Focal loss on anchors assigned by overlap, L1 on the positive ones.

    Args:
        pos_iou: See :func:`freeanchor.boxes.max_iou_assign`.
        neg_iou: See :func:`freeanchor.boxes.max_iou_assign`.
        alpha: Weight of positives in the focal loss; negatives have
            ``1 - alpha``.
        gamma: Focusing power of the focal loss.
        box_weight: Weight of the box distance.
        beta: Where the distance turns from quadratic to linear; 0 for L1.
        ignore_iof_thr: An anchor with more than this share of its area in an
            ignored region is no negative; None for all to count.
    """

    def __init__(
        self,
        pos_iou: float = 0.5,
        neg_iou: float = 0.4,
        alpha: float = 0.25,
        gamma: float = 2.0,
        box_weight: float = 1.0,
        beta: float = 0.0,
        ignore_iof_thr: float | None = None,
    ) -> None:
        super().__init__()
        self.pos_iou = pos_iou
        self.neg_iou = neg_iou
        self.alpha = alpha
        self.gamma = gamma
        self.box_weight = box_weight
        self.beta = beta
        self.ignore_iof_thr = ignore_iof_thr

    def forward(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, Tensor]:
        """The two terms of RetinaNet's objective.

        Returns:
            ``loss_cls`` and ``loss_bbox``, scalars.
        """
        assigned = self.assign(predictions, objects)  # (B, A)
        image, anchor = _places(assigned, len(objects))  # (N,)
        matched = assigned[image, anchor]
        is_positive, matched = matched >= 0, matched.clamp(min=0)
        num_positive = _num_positive(assigned)

        background, x = background_and_logits(
            predictions,
            self.gamma,
            assigned != IGNORED,
            Entries(image, anchor, objects.labels[matched]),
        )
        positive = self.alpha * focal_positive(x, self.gamma)
        as_negative = (1 - self.alpha) * focal_negative(x, self.gamma)
        correction = torch.where(is_positive, positive - as_negative, 0)
        loss_cls = (1 - self.alpha) * background + correction.sum()

        anchors = torch.cat(predictions.anchors)[anchor]  # (N, 4)
        target = predictions.coder.encode(anchors, objects.boxes[matched])
        deltas = read_entries(predictions.deltas, Entries(image, anchor))
        distance = smooth_l1(deltas, target.to(deltas.dtype), self.beta)
        distance = torch.where(is_positive, distance, 0)
        return dict(
            loss_cls=loss_cls / num_positive,
            loss_bbox=self.box_weight * distance.sum() / num_positive,
        )

    def counts(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, int | Tensor]:
        num_positive = _num_positive(self.assign(predictions, objects))
        return dict(loss_cls=num_positive, loss_bbox=num_positive)

    @torch.no_grad()
    def assign(self, predictions: DensePredictions, objects: Objects) -> Tensor:
        """Each anchor's object.

        Returns:
            ``(B, A)`` int64, indices into ``objects``, or ``BACKGROUND`` or
            ``IGNORED``. Anchors of the padding are ignored.
        """
        assigned = assign_anchors(predictions, objects, self.pos_iou, self.neg_iou)
        counted = outside_ignored(predictions, objects, self.ignore_iof_thr)
        if counted is not None:
            assigned[(assigned == BACKGROUND) & ~counted] = IGNORED
        return assigned


def _num_positive(assigned: Tensor) -> Tensor:
    # MMDetection counts at least one positive for each image.
    return (assigned >= 0).sum(dim=1).clamp(min=1).sum()


def _places(assigned: Tensor, num_objects: int) -> tuple[Tensor, Tensor]:
    """Image and anchor, ``(N,)`` each, of all positive anchors at least."""
    if assigned.device.type == 'cpu':
        image, anchor = (assigned >= 0).nonzero(as_tuple=True)
        return image, anchor
    # A list of the positive ones would have to wait for the device.
    num_images, num_anchors = assigned.shape
    sizes = num_images, num_anchors if num_objects else 0
    image, anchor = (torch.arange(n, device=assigned.device) for n in sizes)
    image, anchor = torch.meshgrid(image, anchor, indexing='ij')
    return image.flatten(), anchor.flatten()
