"""What dense heads are made of: a row of convolutions shared by all levels."""

from collections.abc import Iterable
from itertools import pairwise

from mmcv.cnn import ConvModule
from torch import Tensor, nn

from .convolution import Conv2d


def tower(
    in_channels: int, feat_channels: int, stacked_convs: int, num_groups: int = 0
) -> nn.ModuleList:
    """3 x 3 convolutions, each with a ReLU.

    State-dict keys are those of published checkpoints: ``N.conv.weight`` and
    ``N.conv.bias``; with normalisation ``N.conv.weight``, ``N.gn.weight`` and
    ``N.gn.bias``.

    Args:
        in_channels: Of the feature maps.
        feat_channels: Of every convolution's output.
        stacked_convs: How many.
        num_groups: Groups of a group normalisation between each convolution,
            which then has no bias, and its ReLU; 0 for no normalisation.

    Raises:
        ValueError: ``num_groups`` does not divide ``feat_channels``.
    """
    if num_groups and feat_channels % num_groups:
        raise ValueError(
            f'feat_channels={feat_channels} cannot be split into '
            f'num_groups={num_groups}: change either in model.bbox_head'
        )
    widths = [in_channels] + [feat_channels] * stacked_convs
    norm = dict(type='GN', num_groups=num_groups) if num_groups else None
    return nn.ModuleList(
        ConvModule(i, o, 3, padding=1, conv_cfg=dict(type=Conv2d), norm_cfg=norm)
        for i, o in pairwise(widths)
    )


def apply_tower(convs: Iterable[nn.Module], features: Tensor) -> Tensor:
    """``(B, C, H, W)`` through all convolutions of a tower, one after another."""
    for conv in convs:
        features = conv(features)
    return features


def initialisation(prior_prob: float) -> dict:
    """Of a head: normal weights, and every score at ``prior_prob``."""
    override = dict(type='Normal', name='retina_cls', std=0.01, bias_prob=prior_prob)
    return dict(type='Normal', layer='Conv2d', std=0.01, override=override)
