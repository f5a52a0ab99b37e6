"""FreeAnchor on RegNetY-1.6GF, 12 epochs of COCO. Not measured yet.

Trunk and ImageNet weights are torchvision's.

    bash tools/dist_train.sh configs/free_anchor_regnety_1.6gf_fpn_1x.py 8
"""

_base_ = 'free_anchor_r50_fpn_1x.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='TorchvisionBackbone',
        model_name='regnet_y_1_6gf',
        nodes=['trunk_output.block2', 'trunk_output.block3', 'trunk_output.block4'],
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://regnet_y_1_6gf'),
    ),
    neck=dict(in_channels=[120, 336, 888], start_level=0),
)
