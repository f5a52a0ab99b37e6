"""FreeAnchor, ResNet-101, as its authors trained it: 180k steps of 16 images.

The shorter side of a training image is 640, 672, ... or 800 pixels. Box AP of COCO:
42.7 on val2017 and 43.1 on test-dev by the authors; ours not measured yet.

    bash tools/dist_train.sh configs/free_anchor_r101_fpn_j2x_official.py 8
"""

_base_ = [
    '_base_/models/retinanet_r50_caffe_fpn_official.py',
    '_base_/datasets/coco_official.py',
    '_base_/schedules/schedule_180k_official.py',
    '_base_/runtime/iterations.py',
]

model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet101_caffe'),
    ),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='RandomChoiceResize',
        scales=[(1333, short) for short in range(640, 832, 32)],
        keep_ratio=True,
        backend='pillow',
    ),
    dict(type='LegacyBoxes'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
