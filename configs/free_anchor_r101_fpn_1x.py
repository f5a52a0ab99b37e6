"""FreeAnchor, ResNet-101, 12 epochs of COCO.

Box AP on val2017: 40.3 by MMDetection, 40.5 by the authors; ours not measured yet.

    bash tools/dist_train.sh configs/free_anchor_r101_fpn_1x.py 8
"""

_base_ = 'free_anchor_r50_fpn_1x.py'

model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(checkpoint='torchvision://resnet101'),
    ),
)
