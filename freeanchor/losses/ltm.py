"""Learning to match: FreeAnchor's successor, by its authors.

Zhang et al., "Learning to Match Anchors for Visual Object Detection", TPAMI
2021, https://doi.org/10.1109/TPAMI.2021.3050494; settings and details are
those of the code at https://github.com/zhangxiaosong18/LTM.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from freeanchor.boxes import aligned_iou, most_overlapping
from freeanchor.registry import MODELS
from freeanchor.structures import DensePredictions, Objects

from .background import background_and_logits
from .base import DenseLoss
from .entries import Entries
from .functional import (
    focal_negative,
    log_unless_matched,
    negative_log_mean_max,
    negative_log_none,
)
from .grouping import Groups, group_equal
from .ignore import outside_ignored
from .localization import SmoothL1Distance
from .matched import read_boxes


@MODELS.register_module()
class LTMLoss(DenseLoss):
    """Ask of each bag for one anchor that finds the object, and that those of
    its anchors whose boxes fit less be background.

    Classes that an anchor is in no bag for are background in the focal loss.
    Overlaps are without the extra pixel of the authors' code, which has not
    been run beside this: the formulas are compared with a slow form of them.

    Args:
        bag_size: Anchors in an object's bag, the ones that overlap it most.
        gamma: Focusing power of the background's term.
        box_weight: How fast localisation confidence falls with the smooth L1
            distance of the deltas.
        beta: Where that distance turns from quadratic to linear; 0 for L1.
        ignore_iof_thr: An anchor with more than this share of its area in an
            ignored region is no negative; None for all to count. The
            authors' code refuses ignored regions, and images without objects.
    """

    def __init__(
        self,
        bag_size: int = 40,
        gamma: float = 2.0,
        box_weight: float = 0.5,
        beta: float = 1 / 9,
        ignore_iof_thr: float | None = None,
    ) -> None:
        super().__init__()
        self.bag_size = bag_size
        self.gamma = gamma
        self.box_weight = box_weight
        self.distance = SmoothL1Distance(beta)
        self.ignore_iof_thr = ignore_iof_thr

    def forward(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, Tensor]:
        """Recall and precision of the bags, and the background elsewhere.

        Returns:
            ``positive_bag_loss``, ``negative_bag_loss`` and
            ``background_loss``, scalars.
        """
        bag, groups = self.bags(predictions, objects)  # (G, K)
        image, label = objects.image[:, None], objects.labels[:, None]
        counted = outside_ignored(predictions, objects, self.ignore_iof_thr)
        background, logits = background_and_logits(
            predictions, self.gamma, counted, Entries(image, bag, label)
        )
        in_bags = focal_negative(logits, self.gamma) * groups.is_first.view(bag.shape)
        fit = self.fit(predictions, objects, bag, groups).to(logits.dtype)
        log_q, log_not_q = log_unless_matched(logits, fit)
        odds = log_q - log_not_q  # (G, K)
        if counted is not None:
            in_bags = in_bags * counted[image, bag]
            # So unlikely that it takes no part, and yet finite.
            odds = odds.where(counted[image, bag], -1e6)
        distance = self.distance(predictions, objects.boxes[:, None], image, bag)
        log_probs = F.logsigmoid(logits) - self.box_weight * distance
        num_objects = max(len(objects), 1)
        return dict(
            positive_bag_loss=negative_log_mean_max(log_probs).sum() / num_objects,
            negative_bag_loss=negative_log_none(odds).sum() / num_objects,
            background_loss=(background - in_bags.sum())
            / groups.is_first.sum().clamp(min=1),
        )

    def counts(
        self, predictions: DensePredictions, objects: Objects
    ) -> dict[str, int | Tensor]:
        _, groups = self.bags(predictions, objects)
        return dict(
            positive_bag_loss=len(objects),
            negative_bag_loss=len(objects),
            background_loss=groups.is_first.sum(),
        )

    @torch.no_grad()
    def bags(
        self, predictions: DensePredictions, objects: Objects
    ) -> tuple[Tensor, Groups]:
        """``(G, K)`` anchors of each bag; which share image, anchor and class.

        The rows of the groups are the members in order, ``(G * K,)``.
        """
        anchors = torch.cat(predictions.anchors)
        bag = most_overlapping(anchors, objects.boxes, self.bag_size)
        place = objects.image[:, None] * len(anchors) + bag
        place = place * predictions.num_classes + objects.labels[:, None]
        return bag, group_equal(place.flatten())

    @torch.no_grad()
    def fit(
        self,
        predictions: DensePredictions,
        objects: Objects,
        bag: Tensor,
        groups: Groups,
    ) -> Tensor:
        """How well each member's box fits, beside the best of its bag.

        Returns:
            ``(G, K)`` in [0, 1]; for an anchor in the bags of several objects
            of a class the highest.
        """
        boxes = read_boxes(predictions, objects.image[:, None], bag)
        overlaps = aligned_iou(boxes, objects.boxes[:, None].to(boxes.dtype))
        fit = overlaps / overlaps.amax(dim=1, keepdim=True).clamp(min=1e-12)
        best = fit.new_zeros(fit.numel())
        best.scatter_reduce_(0, groups.number, fit.flatten(), 'amax')
        return best[groups.number].view(fit.shape)
