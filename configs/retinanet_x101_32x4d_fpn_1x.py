"""RetinaNet, the baseline, ResNeXt-101-32x4d, 12 epochs of COCO.

Box AP on val2017: 39.9 by MMDetection; ours not measured yet.

    bash tools/dist_train.sh configs/retinanet_x101_32x4d_fpn_1x.py 8
"""

_base_ = 'retinanet_r50_fpn_1x.py'

model = dict(
    backbone=dict(
        type='ResNeXt',
        depth=101,
        groups=32,
        base_width=4,
        init_cfg=dict(checkpoint='open-mmlab://resnext101_32x4d'),
    ),
)
