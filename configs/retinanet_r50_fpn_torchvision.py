"""RetinaNet with the geometry of torchvision's retinanet_resnet50_fpn, ResNet-50.

For weights that tools/checkpoints/convert.py has made from torchvision's: P6 from P5,
a ReLU between P6 and P7, its anchors, 300 detections. Box AP on val2017: 36.4 by
torchvision for COCO_V1; ours not measured yet. Training follows our recipe, not
torchvision's.

    python tools/test.py configs/retinanet_r50_fpn_torchvision.py CONVERTED
"""

_base_ = 'retinanet_r50_fpn_1x.py'

model = dict(
    neck=dict(add_extra_convs='on_output', relu_before_extra_convs=True),
    bbox_head=dict(anchor_generator=dict(type='FittedAnchorGenerator')),
    test_cfg=dict(max_per_img=300),
)
