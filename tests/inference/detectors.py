"""A detector that has learned nothing, as a checkpoint with its config."""

from pathlib import Path
from typing import Any

import torch

from freeanchor.engine import load_config
from freeanchor.registry import MODELS

CONFIG = Path(__file__).parents[2] / 'configs' / 'free_anchor_r18_fpn_shapes.py'
CLASSES = ('rod', 'elbow', 'disc', 'ring', 'brick', 'triangle')
CATEGORY_IDS = (2, 3, 5, 7, 11, 13)
OPTIONS = ('model.test_cfg.score_thr=0.0', 'model.test_cfg.max_per_img=10')


def random_checkpoint() -> dict[str, Any]:
    """Its scores differ, so that its detections have an order."""
    cfg = load_config(CONFIG, OPTIONS)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    torch.nn.init.normal_(model.bbox_head.retina_cls.weight, std=1e-3)
    meta = dict(
        cfg=cfg.pretty_text,
        dataset_meta=dict(classes=CLASSES, cat_ids=CATEGORY_IDS),
    )
    return dict(meta=meta, state_dict=model.state_dict())


def write_checkpoint(path: Path, **changes: Any) -> Path:
    """Write the checkpoint; ``changes`` replace parts of it."""
    torch.save({**random_checkpoint(), **changes}, path)
    return path
