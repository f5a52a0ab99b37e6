"""FreeAnchor on ConvNeXt V2-N, 12 epochs of COCO. Not measured yet.

Trunk and weights are timm's (``pip install freeanchor[timm]``), which downloads them.

    bash tools/dist_train.sh configs/free_anchor_convnextv2_nano_fpn_1x.py 8
"""

_base_ = 'free_anchor_r50_fpn_1x.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmBackbone',
        model_name='convnextv2_nano',
    ),
    neck=dict(in_channels=[160, 320, 640], start_level=0),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.0001, weight_decay=0.05)
)
