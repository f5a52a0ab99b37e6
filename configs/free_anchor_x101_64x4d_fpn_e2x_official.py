"""FreeAnchor, ResNeXt-101-64x4d, as its authors trained it: 180k steps of 16 images.

The shorter side of a training image is 480, 512, ... or 960 pixels. Box AP of COCO:
45.6 on val2017 and 46.0 on test-dev by the authors, 46.8 and 47.3
with multi-scale testing; ours not measured yet.

    bash tools/dist_train.sh configs/free_anchor_x101_64x4d_fpn_e2x_official.py 8
"""

_base_ = [
    '_base_/models/retinanet_r50_caffe_fpn_official.py',
    '_base_/datasets/coco_official.py',
    '_base_/schedules/schedule_180k_official.py',
    '_base_/runtime/iterations.py',
]

model = dict(
    backbone=dict(
        type='ResNeXt',
        depth=101,
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

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='RandomChoiceResize',
        scales=[(1333, short) for short in range(480, 992, 32)],
        keep_ratio=True,
        backend='pillow',
    ),
    dict(type='LegacyBoxes'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
