"""FreeAnchor, ResNeXt-101-64x4d, as its authors trained it: 180k steps of 16 images.

The shorter side of a training image is 640, 672, ... or 800 pixels. Box AP of COCO:
44.5 on val2017 and 44.9 on test-dev by the authors; ours not measured yet.

    bash tools/dist_train.sh configs/free_anchor_x101_64x4d_fpn_j2x_official.py 8
"""

_base_ = 'free_anchor_r101_fpn_j2x_official.py'

model = dict(
    backbone=dict(
        type='ResNeXt',
        groups=64,
        base_width=4,
        style='pytorch',
        init_cfg=dict(
            type='PretrainedOnRGB',
            checkpoint='open-mmlab://resnext101_64x4d',
            std=[58.395, 57.12, 57.375],
        ),
    ),
)
