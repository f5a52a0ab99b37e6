"""Any trunk of torchvision as a backbone."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor
from torchvision.models import get_model, list_models
from torchvision.models.feature_extraction import create_feature_extractor

from freeanchor.registry import MODELS

from .trunk import channels_first, hold_statistics, init_trunk

_HEIGHT, _WIDTH = 64, 96  # of the image that tells how maps are laid out


@MODELS.register_module()
class TorchvisionBackbone(BaseModule):
    """Feature maps of a torchvision model.

    Args:
        model_name: As ``torchvision.models.get_model`` takes it.
        nodes: The modules whose output is returned, finest first, as
            ``torchvision.models.feature_extraction.get_graph_node_names`` names
            them. What comes after the last is left out. The neck's
            ``in_channels`` are this module's ``out_channels``.
        norm_eval: Keep batch normalisation at its running statistics.
        init_cfg: Weights, such as
            ``dict(type='Pretrained', checkpoint='torchvision://swin_t')``.

    Raises:
        ValueError: torchvision has no model or node of that name.
    """

    def __init__(
        self,
        model_name: str,
        nodes: Sequence[str],
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if model_name not in list_models():
            raise ValueError(
                f'backbone.model_name: torchvision has no {model_name!r}; '
                'torchvision.models.list_models() has the names'
            )
        self.nodes = tuple(nodes)
        self.norm_eval = norm_eval
        device = torch.empty(0).device
        # Some trunks compute their widths, which the meta device cannot.
        with torch.device('cpu'):
            model = get_model(model_name, weights=None)
            try:
                self.trunk = create_feature_extractor(model, list(nodes))
            except ValueError as error:
                raise ValueError(f'backbone.nodes of {model_name}: {error}') from error
            self._layout, self.out_channels = self._measure()
        self.trunk.to(device)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """``(B, 3, H, W)`` to one ``(B, C_i, H_i, W_i)`` per node."""
        maps = self.trunk(images)
        return channels_first([maps[x] for x in self.nodes], self._layout)

    def train(self, mode: bool = True) -> 'TorchvisionBackbone':
        super().train(mode)
        if self.norm_eval:
            hold_statistics(self.trunk)
        return self

    def init_weights(self) -> None:
        init_trunk(self, self.trunk)

    def _measure(self) -> tuple[str, tuple[int, ...]]:
        """Layout and channels of the maps, seen on a small image."""
        self.trunk.eval()
        with torch.no_grad():
            maps = self.trunk(torch.zeros(1, 3, _HEIGHT, _WIDTH))
        self.trunk.train()
        shapes = [maps[node].shape for node in self.nodes]
        # Two rows stand for three columns of the image.
        if all(shape[1] * _WIDTH == shape[2] * _HEIGHT for shape in shapes):
            return 'NHWC', tuple(shape[3] for shape in shapes)
        return 'NCHW', tuple(shape[1] for shape in shapes)
