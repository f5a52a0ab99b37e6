"""A detector small enough to train in a test."""

from typing import Any

from torch import nn

from freeanchor.registry import MODELS


def small_detector(**changes: Any) -> nn.Module:
    cfg: dict[str, Any] = dict(
        type='SingleStageDetector',
        data_preprocessor=dict(
            type='DetDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            bgr_to_rgb=True,
            pad_size_divisor=32,
        ),
        backbone=dict(type='ResNet', depth=18),
        neck=dict(
            type='FPN', in_channels=[64, 128, 256, 512], start_level=1,
            out_channels=16, num_outs=5,
        ),
        bbox_head=dict(
            type='RetinaHead', num_classes=3, in_channels=16, feat_channels=16,
            stacked_convs=1,
            anchor_generator=dict(type='AnchorGenerator', strides=[8, 16, 32, 64, 128]),
            bbox_coder=dict(type='DeltaBoxCoder', stds=[0.1, 0.1, 0.2, 0.2]),
        ),
        loss=dict(type='FreeAnchorLoss'),
        test_cfg=dict(score_thr=0.05, nms_pre=1000, nms_iou=0.5, max_per_img=100),
    )  # fmt: skip
    model = MODELS.build({**cfg, **changes})
    model.init_weights()
    return model
