"""ATSS: anchors assigned by the statistics of their overlaps with an object.

Zhang et al., "Bridging the Gap Between Anchor-based and Anchor-free Detection
via Adaptive Training Sample Selection", CVPR 2020,
https://arxiv.org/abs/1912.02424.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from freeanchor.boxes import atss_assign
from freeanchor.boxes.centres import centres
from freeanchor.registry import MODELS
from freeanchor.structures import DensePredictions, Objects

from .background import background_and_logits
from .base import DenseLoss
from .entries import Entries
from .functional import focal_negative, focal_positive, giou_loss
from .ignore import inside_images, outside_ignored
from .matched import read_boxes, read_quality
from .normalizer import is_distributed, mean_over_processes


class Matches(NamedTuple):
    """Anchors near the objects, and what they should learn if they are matched."""

    image: Tensor  # (G, 1) int64
    anchor: Tensor  # (G, N) int64
    positive: Tensor  # (G, N) bool
    centerness: Tensor  # (G, N) in [0, 1], 0 where not positive
    counted: Tensor  # (B, A) bool, which anchors are background unless positive


@MODELS.register_module()
class ATSSLoss(DenseLoss):
    """Focal loss, overlap and centerness on adaptively assigned anchors.

    The settings are MMDetection's. Counts that terms are divided by are means
    over all processes, as there.

    Args:
        topk: See :func:`freeanchor.boxes.atss_assign`.
        alpha: Weight of positives in the focal loss; negatives have
            ``1 - alpha``.
        gamma: Focusing power of the focal loss.
        box_weight: Weight of the overlap term.
        quality_weight: Weight of the centerness term, which only a head with a
            quality branch has.
        ignore_iof_thr: An anchor with more than this share of its area in an
            ignored region is no negative; None for all to count.
    """

    reads_quality = True

    def __init__(
        self,
        topk: int = 9,
        alpha: float = 0.25,
        gamma: float = 2.0,
        box_weight: float = 2.0,
        quality_weight: float = 1.0,
        ignore_iof_thr: float | None = None,
    ) -> None:
        super().__init__()
        self.topk = topk
        self.alpha = alpha
        self.gamma = gamma
        self.box_weight = box_weight
        self.quality_weight = quality_weight
        self.ignore_iof_thr = ignore_iof_thr

    def forward(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, Tensor]:
        """The terms of ATSS.

        Returns:
            Scalars: ``loss_cls``, ``loss_bbox`` and, of a head with a quality
            branch, ``loss_quality``.
        """
        found = self.match(predictions, objects)
        boxes = read_boxes(predictions, found.image, found.anchor)  # (G, N, 4)
        overlap = giou_loss(boxes, objects.boxes[:, None].to(boxes.dtype))
        overlap = torch.where(found.positive, overlap * found.centerness, 0)
        device = boxes.device
        num_positive = mean_over_processes(_num_positive(found, objects), device)
        weight = mean_over_processes(found.centerness.sum(), device)
        terms = dict(
            loss_cls=self._classes(predictions, objects, found) / num_positive,
            loss_bbox=self.box_weight * overlap.sum() / weight,
        )
        if predictions.quality:
            x = read_quality(predictions, found.image, found.anchor)  # (G, N)
            cost = F.binary_cross_entropy_with_logits(
                x, found.centerness, reduction='none'
            )
            cost = torch.where(found.positive, cost, 0).sum()
            terms['loss_quality'] = self.quality_weight * cost / num_positive
        return terms

    def counts(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, int | Tensor]:
        if is_distributed():
            raise NotImplementedError('ATSSLoss counts on all processes')
        found = self.match(predictions, objects)
        num_positive = _num_positive(found, objects)
        terms = ['loss_cls', *(['loss_quality'] if predictions.quality else [])]
        return {
            **dict.fromkeys(terms, num_positive),
            'loss_bbox': found.centerness.sum(),
        }

    @torch.no_grad()
    def match(self, predictions: DensePredictions, objects: Objects) -> Matches:
        """Anchors near each object, and which of them it gets."""
        anchors = torch.cat(predictions.anchors)
        valid = inside_images(predictions, objects)
        anchor, positive = atss_assign(
            [
                own.unflatten(0, (-1, logits.shape[2]))
                for own, logits in zip(predictions.anchors, predictions.logits)
            ],
            objects.boxes,
            objects.image,
            valid,
            self.topk,
        )
        dtype = torch.promote_types(predictions.deltas[0].dtype, torch.float32)
        target = centerness(anchors[anchor].to(dtype), objects.boxes[:, None])
        outside = outside_ignored(predictions, objects, self.ignore_iof_thr)
        return Matches(
            objects.image[:, None],
            anchor,
            positive,
            target.where(positive, 0),
            valid if outside is None else valid & outside,
        )

    def _classes(
        self, predictions: DensePredictions, objects: Objects, found: Matches
    ) -> Tensor:
        """Sum of the focal loss over images, anchors and classes."""
        entries = Entries(found.image, found.anchor, objects.labels[:, None])
        background, x = background_and_logits(
            predictions, self.gamma, found.counted, entries
        )
        is_counted = found.counted[found.image, found.anchor]
        as_negative = torch.where(is_counted, focal_negative(x, self.gamma), 0)
        correction = (
            self.alpha * focal_positive(x, self.gamma) - (1 - self.alpha) * as_negative
        )
        correction = torch.where(found.positive, correction, 0)
        return (1 - self.alpha) * background + correction.sum()


def centerness(anchors: Tensor, boxes: Tensor) -> Tensor:
    """How central anchors are in objects; equation 3 of FCOS.

    https://arxiv.org/abs/1904.01355: 1 in the middle, 0 on the border and
    outside.

    Args:
        anchors: ``(..., 4)`` xyxy, pixels.
        boxes: ``(..., 4)`` xyxy, pixels; leading dimensions broadcast.

    Returns:
        ``(...)`` in [0, 1].
    """
    middle = centres(anchors)
    before, behind = middle - boxes[..., :2], boxes[..., 2:] - middle
    near, far = torch.minimum(before, behind), torch.maximum(before, behind)
    return (near.clamp(min=0) / far).prod(dim=-1).sqrt()


def _num_positive(found: Matches, objects: Objects) -> Tensor:
    # MMDetection counts at least one positive for each image.
    own = found.positive.sum(dim=1)
    counts = own.new_zeros(len(objects.counts)).index_add(0, objects.image, own)
    return counts.clamp(min=1).sum()
