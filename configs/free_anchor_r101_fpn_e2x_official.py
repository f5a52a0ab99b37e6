"""FreeAnchor, ResNet-101, as its authors trained it: 180k steps of 16 images.

The shorter side of a training image is 480, 512, ... or 960 pixels. Box AP of COCO:
43.2 on val2017 and 43.9 on test-dev by the authors, 44.7 and 45.2
with multi-scale testing; ours not measured yet.

    bash tools/dist_train.sh configs/free_anchor_r101_fpn_e2x_official.py 8
"""

_base_ = 'free_anchor_r101_fpn_j2x_official.py'

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(
        _base_.train_pipeline[2],
        scales=[(1333, short) for short in range(480, 992, 32)],
    ),
    *_base_.train_pipeline[3:],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
