"""RetinaNet's head: two towers of convolutions shared by all levels."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor

from freeanchor.registry import MODELS, TASK_UTILS
from freeanchor.structures import DensePredictions

from .convolution import Conv2d
from .tower import apply_tower, initialisation, tower


@MODELS.register_module()
class RetinaHead(BaseModule):
    """Score every anchor for every class, and shift it onto the object.

    From RetinaNet, https://arxiv.org/abs/1708.02002, section 4.

    Args:
        num_classes: Classes, without background.
        in_channels: Channels of the feature maps.
        anchor_generator: Config of the anchors.
        bbox_coder: Config of how boxes are written relative to anchors.
        feat_channels: Channels of the towers.
        stacked_convs: Convolutions in each tower.
        prior_prob: Score of every anchor before training.
        num_groups: Groups of a group normalisation in the towers; 0 for none.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        anchor_generator: dict,
        bbox_coder: dict,
        feat_channels: int = 256,
        stacked_convs: int = 4,
        prior_prob: float = 0.01,
        num_groups: int = 0,
    ) -> None:
        super().__init__(initialisation(prior_prob))
        self.num_classes = num_classes
        self.anchors = TASK_UTILS.build(anchor_generator)
        self.coder = TASK_UTILS.build(bbox_coder)

        # These names are the keys of published checkpoints.
        width = feat_channels if stacked_convs else in_channels
        per_cell = self.anchors.num_anchors
        towers = in_channels, feat_channels, stacked_convs, num_groups
        self.cls_convs, self.reg_convs = tower(*towers), tower(*towers)
        self.retina_cls = Conv2d(width, per_cell * num_classes, 3, padding=1)
        self.retina_reg = Conv2d(width, per_cell * 4, 3, padding=1)

    def forward(self, features: Sequence[Tensor]) -> DensePredictions:
        """Predictions from one ``(B, C, H_l, W_l)`` map per level."""
        logits = [self.retina_cls(apply_tower(self.cls_convs, x)) for x in features]
        deltas = [self.retina_reg(apply_tower(self.reg_convs, x)) for x in features]
        return self.predictions(logits, deltas)

    def predictions(
        self, logits: Sequence[Tensor], deltas: Sequence[Tensor]
    ) -> DensePredictions:
        """Predictions from the maps of the last convolutions.

        Args:
            logits: Per level ``(B, K * num_classes, H_l, W_l)``.
            deltas: Per level ``(B, K * 4, H_l, W_l)``.
        """
        anchors = self.anchors([tuple(x.shape[-2:]) for x in logits])
        return DensePredictions.from_maps(logits, deltas, anchors, self.coder)
