"""FreeAnchor on ResNeXt-50 32x4d, 12 epochs of COCO. Not measured yet.

Trunk and ImageNet weights are torchvision's.

    bash tools/dist_train.sh configs/free_anchor_resnext50_32x4d_fpn_1x.py 8
"""

_base_ = 'free_anchor_r50_fpn_1x.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='TorchvisionBackbone',
        model_name='resnext50_32x4d',
        nodes=['layer2', 'layer3', 'layer4'],
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnext50_32x4d'),
    ),
    neck=dict(in_channels=[512, 1024, 2048], start_level=0),
)
