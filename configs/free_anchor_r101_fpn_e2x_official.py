"""FreeAnchor, ResNet-101, as its authors trained it: 180k steps of 16 images.

The shorter side of a training image is 480, 512, ... or 960 pixels. Box AP of COCO:
43.2 on val2017 and 43.9 on test-dev by the authors, 44.7 and 45.2
with multi-scale testing; ours not measured yet.

    bash tools/dist_train.sh configs/free_anchor_r101_fpn_e2x_official.py 8
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
        scales=[(1333, short) for short in range(480, 992, 32)],
        keep_ratio=True,
        backend='pillow',
    ),
    dict(type='LegacyBoxes'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
