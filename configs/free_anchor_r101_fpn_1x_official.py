"""FreeAnchor, ResNet-101, as its authors trained it: 90k steps of 16 images.

Box AP of COCO: 40.5 on val2017 and 40.9 on test-dev by the authors; ours is
not measured yet.

    bash tools/dist_train.sh configs/free_anchor_r101_fpn_1x_official.py 8
"""

_base_ = 'free_anchor_r50_fpn_1x_official.py'

model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet101_caffe'),
    ),
)
