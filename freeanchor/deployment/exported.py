"""Exported detectors, used as those of checkpoints are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from torch import Tensor

from freeanchor.engine import ConfigError
from freeanchor.inference import ImagePipeline

from .recipe import Recipe
from .runtimes import open_onnx, open_torch

Run = Callable[[Tensor, Tensor], Sequence[Tensor]]

_OPENERS = {'.onnx': open_onnx, '.pt2': open_torch}
SUFFIXES = frozenset(_OPENERS)
"""How the names of exported files end."""


@dataclass(frozen=True)
class ExportedDetector:
    """An exported network with its recipe, on the CPU.

    :func:`freeanchor.inference.detect` takes it as it takes a
    :class:`freeanchor.inference.Detector`.

    Args:
        run: From normalised images and their sizes to boxes, scores, labels and
            counts, as :class:`freeanchor.models.export.ExportableDetector` says.
        recipe: What to do before and after.
        pipeline: What is done to an image before it is normalised.
    """

    run: Run
    recipe: Recipe
    pipeline: ImagePipeline

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.recipe.class_names

    @property
    def category_ids(self) -> tuple[int, ...]:
        return self.recipe.category_ids

    @torch.inference_mode()
    def predict(self, samples: Sequence[dict[str, Any]]) -> list[InstanceData]:
        """Detections of one batch.

        Args:
            samples: What ``pipeline`` packed.

        Returns:
            For each ``bboxes`` ``(N, 4)`` xyxy in pixels of the original image,
            ``scores`` ``(N,)`` from high to low, ``labels`` ``(N,)``.
        """
        batch = self.recipe.preprocessor()(pseudo_collate(list(samples)))
        known = batch['data_samples']
        sizes = torch.tensor([x.img_shape[1::-1] for x in known], dtype=torch.float32)
        scales = torch.tensor([x.scale_factor for x in known], dtype=torch.float64)
        found = self.run(batch['inputs'].contiguous(), sizes)
        return [
            InstanceData(
                bboxes=self.recipe.coder().to_original(boxes[:count], scale),
                scores=scores[:count],
                labels=labels[:count],
            )
            for boxes, scores, labels, count, scale in zip(*found, scales)
        ]


def load_exported(path: str | Path) -> ExportedDetector:
    """Open a file that ``tools/deploy/export.py`` wrote.

    A ``.pt2`` file may hold compiled code, which is run: open only what you trust.

    Args:
        path: Ends with ``.onnx`` or ``.pt2``.

    Raises:
        FileNotFoundError: There is no such file.
        ConfigError: It is no such file, or what runs it is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'there is no exported detector {path}')
    if path.suffix not in _OPENERS:
        raise ConfigError(
            f'{path} is no exported detector: its name ends with .onnx or .pt2'
        )
    run, text = _OPENERS[path.suffix](path)
    recipe = Recipe.from_json(text, str(path))
    return ExportedDetector(run, recipe, recipe.pipeline())
