"""FreeAnchor on MobileNetV3-Large, 12 epochs of COCO. Not measured yet.

Trunk and ImageNet weights are torchvision's.

    bash tools/dist_train.sh configs/free_anchor_mobilenet_v3_large_fpn_1x.py 8
"""

_base_ = 'free_anchor_r50_fpn_1x.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='TorchvisionBackbone',
        model_name='mobilenet_v3_large',
        nodes=['features.6', 'features.12', 'features.16'],
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://mobilenet_v3_large'),
    ),
    neck=dict(in_channels=[40, 112, 960], start_level=0),
)
