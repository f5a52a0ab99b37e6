"""Feature pyramid network, https://arxiv.org/abs/1612.03144."""

from collections.abc import Sequence
from functools import partial

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from freeanchor.registry import MODELS

from .convolution import Conv2d

_conv = partial(ConvModule, conv_cfg=dict(type=Conv2d), act_cfg=None)
INIT = dict(type='Xavier', layer='Conv2d', distribution='uniform')
SOURCES = ('on_input', 'on_lateral', 'on_output')


@MODELS.register_module()
class FPN(BaseModule):
    """Feature maps of equal width, coarse meaning added to fine detail.

    Args:
        in_channels: Channels of each map of the backbone.
        out_channels: Channels of each map of the pyramid.
        num_outs: Levels of the pyramid; those beyond the backbone's are made
            by stride-2 convolutions.
        start_level: First backbone map to use.
        add_extra_convs: What the first extra level is made from: the
            backbone's last map (``'on_input'``), that map in the pyramid's
            width (``'on_lateral'``), or the pyramid's (``'on_output'``).
        relu_before_extra_convs: Put a ReLU between extra levels.
        init_cfg: Initialisation of the convolutions; Xavier unless given.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 0,
        add_extra_convs: str = 'on_input',
        relu_before_extra_convs: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or INIT)
        used = list(in_channels[start_level:])
        if add_extra_convs not in SOURCES:
            raise ValueError(
                f'add_extra_convs is one of {SOURCES}, not {add_extra_convs!r}'
            )
        if num_outs < len(used):
            raise ValueError(
                f'num_outs={num_outs} is below the {len(used)} maps from '
                f'start_level={start_level} on: take fewer of backbone.out_indices'
            )
        self.num_ins = len(in_channels)
        self.start_level = start_level
        self.add_extra_convs = add_extra_convs
        self.relu_before_extra_convs = relu_before_extra_convs

        # These names are the keys of published checkpoints.
        self.lateral_convs = nn.ModuleList(_conv(c, out_channels, 1) for c in used)
        self.fpn_convs = nn.ModuleList(
            _conv(out_channels, out_channels, 3, padding=1) for _ in used
        )
        channels = used[-1] if add_extra_convs == 'on_input' else out_channels
        for _ in range(num_outs - len(used)):
            self.fpn_convs.append(_conv(channels, out_channels, 3, stride=2, padding=1))
            channels = out_channels

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Backbone maps ``(B, C_l, H_l, W_l)`` to ``num_outs`` maps, finest first.

        Raises:
            ValueError: There are more or fewer maps than ``in_channels``.
        """
        if len(inputs) != self.num_ins:
            raise ValueError(
                f'FPN was built for {self.num_ins} maps, got {len(inputs)}: compare '
                'neck.in_channels with backbone.out_indices'
            )
        inputs = inputs[self.start_level :]
        merged = [conv(x) for conv, x in zip(self.lateral_convs, inputs)]
        for fine in range(len(merged) - 2, -1, -1):
            size = merged[fine].shape[-2:]
            coarse = F.interpolate(merged[fine + 1], size=size, mode='nearest')
            merged[fine] = merged[fine] + coarse

        outs = [conv(x) for conv, x in zip(self.fpn_convs, merged)]
        sources = dict(on_input=inputs[-1], on_lateral=merged[-1], on_output=outs[-1])
        extra = sources[self.add_extra_convs]
        for i, conv in enumerate(self.fpn_convs[len(merged) :]):
            if i > 0 and self.relu_before_extra_convs:
                extra = F.relu(extra)
            extra = conv(extra)
            outs.append(extra)
        return tuple(outs)
