"""PAA, ResNet-101, 12 epochs of COCO.

Box AP on val2017: 42.6 by MMDetection; ours not measured yet.

    bash tools/dist_train.sh configs/paa_r101_fpn_1x.py 8
"""

_base_ = 'paa_r50_fpn_1x.py'

model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(checkpoint='torchvision://resnet101'),
    ),
)
