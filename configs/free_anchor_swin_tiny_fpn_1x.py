"""FreeAnchor on Swin-T, 12 epochs of COCO. Not measured yet.

Trunk and ImageNet weights are torchvision's.

    bash tools/dist_train.sh configs/free_anchor_swin_tiny_fpn_1x.py 8
"""

_base_ = 'free_anchor_r50_fpn_1x.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='TorchvisionBackbone',
        model_name='swin_t',
        nodes=['features.3', 'features.5', 'features.7'],
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://swin_t'),
    ),
    neck=dict(in_channels=[192, 384, 768], start_level=0),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.0001, weight_decay=0.05)
)
