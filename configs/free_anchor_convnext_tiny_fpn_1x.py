"""FreeAnchor on a trunk of timm, ConvNeXt-T, 12 epochs of COCO. Not measured yet.

An example: any timm model with feature maps works the same way. Needs timm
(``pip install freeanchor[timm]``), which downloads its weights.

    bash tools/dist_train.sh configs/free_anchor_convnext_tiny_fpn_1x.py 8
"""

_base_ = 'free_anchor_r50_fpn_1x.py'

model = dict(
    backbone=dict(_delete_=True, type='TimmBackbone', model_name='convnext_tiny'),
    neck=dict(in_channels=[192, 384, 768], start_level=0),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.0001, weight_decay=0.05)
)
