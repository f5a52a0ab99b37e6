"""RetinaNet with the geometry of detectron2's RetinaNet_R_101_FPN, ResNet-101.

For weights that tools/checkpoints/convert.py has made from detectron2's: BGR images,
its ResNet with the stride in the first 1x1 convolution and frozen norms, a ReLU between
P6 and P7. Ours not measured yet. Training follows our recipe, not detectron2's.

    python tools/test.py configs/retinanet_r101_fpn_detectron2.py CONVERTED
"""

_base_ = 'retinanet_r50_fpn_detectron2.py'

model = dict(
    backbone=dict(
        depth=101,
        init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet101_caffe'),
    ),
)
