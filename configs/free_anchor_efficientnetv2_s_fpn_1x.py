"""FreeAnchor on EfficientNetV2-S, 12 epochs of COCO. Not measured yet.

Trunk and weights are timm's (``pip install freeanchor[timm]``), which downloads them.

    bash tools/dist_train.sh configs/free_anchor_efficientnetv2_s_fpn_1x.py 8
"""

_base_ = 'free_anchor_r50_fpn_1x.py'

model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(
        _delete_=True,
        type='TimmBackbone',
        model_name='tf_efficientnetv2_s',
        norm_eval=True,
        out_indices=(2, 3, 4),
    ),
    neck=dict(in_channels=[64, 160, 256], start_level=0),
)
