"""Any trunk of the timm library as a backbone."""

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from freeanchor.registry import MODELS

from .trunk import channels_first, hold_statistics, init_trunk


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """Feature maps of a timm model.

    Args:
        model_name: As ``timm.create_model`` takes it.
        out_indices: Feature maps to return, as timm counts them. The neck's
            ``in_channels`` are this module's ``out_channels``.
        pretrained: Load timm's weights (a download).
        norm_eval: Keep batch normalisation at its running statistics.
        init_cfg: Weights from elsewhere, under timm's names; use
            ``pretrained=False`` with it.
        kwargs: Passed to ``timm.create_model``.

    Raises:
        ImportError: timm is not installed.
    """

    def __init__(
        self,
        model_name: str,
        out_indices: Sequence[int] = (1, 2, 3),
        pretrained: bool = True,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_cfg)
        try:
            import timm
        except ImportError as error:
            raise ImportError('TimmBackbone needs timm: pip install timm') from error
        trunk: Any = timm.create_model(
            model_name,
            features_only=True,
            out_indices=tuple(out_indices),
            pretrained=pretrained,
            **kwargs,
        )
        self.trunk = trunk
        self.norm_eval = norm_eval
        self.out_channels = tuple(trunk.feature_info.channels())
        layout = getattr(trunk, 'output_fmt', 'NCHW')
        self._layout = str(getattr(layout, 'value', layout))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """``(B, 3, H, W)`` to one ``(B, C_i, H_i, W_i)`` per ``out_indices``."""
        return channels_first(self.trunk(images), self._layout)

    def train(self, mode: bool = True) -> 'TimmBackbone':
        super().train(mode)
        if self.norm_eval:
            hold_statistics(self.trunk)
        return self

    def init_weights(self) -> None:
        init_trunk(self, self.trunk)
