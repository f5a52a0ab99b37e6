"""FreeAnchor on EfficientNet-B0, 12 epochs of COCO. Not measured yet.

Trunk and ImageNet weights are torchvision's.

    bash tools/dist_train.sh configs/free_anchor_efficientnet_b0_fpn_1x.py 8
"""

_base_ = 'free_anchor_r50_fpn_1x.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='TorchvisionBackbone',
        model_name='efficientnet_b0',
        nodes=['features.3', 'features.5', 'features.7'],
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://efficientnet_b0'),
    ),
    neck=dict(in_channels=[40, 112, 320], start_level=0),
)
