"""FreeAnchor on ResNet-50-D, 12 epochs of COCO. Not measured yet.

Trunk and weights are timm's (``pip install freeanchor[timm]``), which downloads them.

    bash tools/dist_train.sh configs/free_anchor_resnet50d_fpn_1x.py 8
"""

_base_ = 'free_anchor_r50_fpn_1x.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmBackbone',
        model_name='resnet50d',
        norm_eval=True,
        out_indices=(2, 3, 4),
    ),
    neck=dict(in_channels=[512, 1024, 2048], start_level=0),
)
