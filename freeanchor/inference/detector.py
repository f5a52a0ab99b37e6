"""A trained detector with all that using it takes, from one file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.model import BaseModel
from mmengine.structures import InstanceData

from freeanchor.engine import load_config, read_checkpoint, weights_of
from freeanchor.engine.conversion import build_untrained
from freeanchor.engine.plain import from_plain
from freeanchor.engine.weights import fetch, published_url
from freeanchor.engine.whole_weights import load_whole

from .carried import carried_classes, carried_config
from .pipeline import ImagePipeline


@dataclass(frozen=True)
class Detector:
    """A model in evaluation mode and what it needs to know of images and classes.

    Args:
        model: Takes what ``pipeline`` packs, through its ``test_step``.
        cfg: The config of its training.
        pipeline: What is done to an image before the model sees it.
        class_names: Name of each label.
        category_ids: COCO category id of each label.
    """

    model: BaseModel
    cfg: Config
    pipeline: ImagePipeline
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]

    @torch.no_grad()
    def predict(self, samples: Sequence[dict[str, Any]]) -> list[InstanceData]:
        """Detections of one batch, on the CPU.

        Args:
            samples: What ``pipeline`` packed.

        Returns:
            For each ``bboxes`` ``(N, 4)`` xyxy in pixels of the original image,
            ``scores`` ``(N,)`` from high to low, ``labels`` ``(N,)``.
        """
        found = self.model.test_step(pseudo_collate(list(samples)))
        return [sample.pred_instances.cpu() for sample in found]


def load_detector(
    checkpoint: str | Path,
    config: Config | str | Path | None = None,
    device: torch.device | str | None = None,
) -> Detector:
    """Build a detector and load its weights; nothing in the file is executed.

    Pretrained weights of its trunk are not downloaded. Where training averaged
    weights, the averaged ones are taken, as testing does.

    Args:
        checkpoint: A file, an https URL or the name of published weights.
        config: The config, or its file; without it, the config in the checkpoint.
        device: Where to run; the GPU if there is one.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        CheckpointError: The checkpoint cannot be used.
        ConfigError: There is no config, or weights of its model are missing.
    """
    path = fetch(published_url(str(checkpoint))) if _is_url(checkpoint) else checkpoint
    state = read_checkpoint(path)
    meta = from_plain(state.get('meta') or {})
    if config is None:
        cfg = carried_config(meta, str(checkpoint))
    else:
        cfg = config if isinstance(config, Config) else load_config(config)
    model = build_untrained(cfg.model.to_dict())
    load_whole(model, weights_of(state))
    model.to(device or get_device()).to(memory_format=torch.channels_last).eval()
    names, ids = carried_classes(meta, cfg, model.bbox_head.num_classes)
    return Detector(model, cfg, ImagePipeline.of_config(cfg), names, ids)


def _is_url(checkpoint: str | Path) -> bool:
    return '://' in str(checkpoint)
