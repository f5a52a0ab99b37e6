"""Any trunk of the timm library as a backbone."""

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from freeanchor.registry import MODELS


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """Feature maps of a timm model.

    Args:
        model_name: As ``timm.create_model`` takes it.
        out_indices: Feature maps to return, as timm counts them. The neck's
            ``in_channels`` are this module's ``out_channels``.
        pretrained: Load timm's weights (a download).
        init_cfg: Weights from elsewhere; use ``pretrained=False`` with it.
        kwargs: Passed to ``timm.create_model``.

    Raises:
        ImportError: timm is not installed.
    """

    def __init__(
        self,
        model_name: str,
        out_indices: Sequence[int] = (1, 2, 3),
        pretrained: bool = True,
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
        self.out_channels = tuple(trunk.feature_info.channels())
        # Swin and its like return (B, H, W, C).
        layout = getattr(trunk, 'output_fmt', 'NCHW')
        self._channels_last = getattr(layout, 'value', layout) == 'NHWC'

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """``(B, 3, H, W)`` to one ``(B, C_i, H_i, W_i)`` per ``out_indices``."""
        maps = self.trunk(images)
        if self._channels_last:
            maps = [x.permute(0, 3, 1, 2) for x in maps]
        return tuple(maps)
