"""A head that also says how good each of its boxes is."""

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import Scale
from mmengine.model import BaseModule
from torch import Tensor, nn

from freeanchor.registry import MODELS, TASK_UTILS
from freeanchor.structures import DensePredictions

from .convolution import Conv2d
from .tower import apply_tower, initialisation, tower

# MMDetection's heads of ATSS and PAA call the same convolutions so.
_NAMES = dict(
    atss_cls='retina_cls', atss_reg='retina_reg', atss_centerness='retina_quality'
)


@MODELS.register_module()
class QualityHead(BaseModule):
    """RetinaNet's head with group normalisation and a branch for quality.

    The head of ATSS, https://arxiv.org/abs/1912.02424, and of PAA,
    https://arxiv.org/abs/2007.08103. Its third output, on the tower of the
    boxes, is one logit an anchor. What it means is for the loss to say: the
    centerness of ATSS, the overlap of PAA. Each level has a learned factor of
    its deltas, because towers are shared by levels whose boxes differ in size.

    Args:
        num_classes: Classes, without background.
        in_channels: Channels of the feature maps.
        anchor_generator: Config of the anchors.
        bbox_coder: Config of how boxes are written relative to anchors.
        feat_channels: Channels of the towers.
        stacked_convs: Convolutions in each tower.
        prior_prob: Score of every anchor before training.
        num_groups: Groups of each group normalisation; 0 for none.

    Raises:
        ValueError: ``num_groups`` does not divide ``feat_channels``.
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
        num_groups: int = 32,
    ) -> None:
        super().__init__(initialisation(prior_prob))
        self.num_classes = num_classes
        self.anchors = TASK_UTILS.build(anchor_generator)
        self.coder = TASK_UTILS.build(bbox_coder)

        width = feat_channels if stacked_convs else in_channels
        per_cell = self.anchors.num_anchors
        towers = in_channels, feat_channels, stacked_convs, num_groups
        self.cls_convs, self.reg_convs = tower(*towers), tower(*towers)
        self.retina_cls = Conv2d(width, per_cell * num_classes, 3, padding=1)
        self.retina_reg = Conv2d(width, per_cell * 4, 3, padding=1)
        self.retina_quality = Conv2d(width, per_cell, 3, padding=1)
        self.scales = nn.ModuleList(Scale(1.0) for _ in self.anchors.strides)
        self._register_load_state_dict_pre_hook(_with_our_names)

    def forward(self, features: Sequence[Tensor]) -> DensePredictions:
        """Predictions, ``quality`` among them, from a map per level.

        Args:
            features: Per level ``(B, C, H_l, W_l)``.

        Raises:
            ValueError: There are more or fewer maps than strides of anchors.
        """
        anchors = self.anchors([tuple(x.shape[-2:]) for x in features])
        logits = [self.retina_cls(apply_tower(self.cls_convs, x)) for x in features]
        on_boxes = [apply_tower(self.reg_convs, x) for x in features]
        deltas = [scale(self.retina_reg(x)) for scale, x in zip(self.scales, on_boxes)]
        quality = [self.retina_quality(x) for x in on_boxes]
        return DensePredictions.from_maps(logits, deltas, anchors, self.coder, quality)


def _with_our_names(state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    for theirs, ours in _NAMES.items():
        for kind in ('weight', 'bias'):
            if f'{prefix}{theirs}.{kind}' in state:
                state[f'{prefix}{ours}.{kind}'] = state.pop(f'{prefix}{theirs}.{kind}')
