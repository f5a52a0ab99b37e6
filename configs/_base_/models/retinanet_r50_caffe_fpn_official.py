"""RetinaNet as FreeAnchor's authors have it, on ResNet-50; docs/official.md says why.

Pictures stay in BGR and are not divided, the trunk strides in its first 1x1
convolutions and all its norms are frozen, P6 comes from P5, and anchors and boxes are
those of maskrcnn-benchmark.
"""

_base_ = 'retinanet_r50_fpn.py'

model = dict(
    data_preprocessor=dict(
        mean=[102.9801, 115.9465, 122.7717],
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False,
    ),
    backbone=dict(
        norm_requires_grad=False,
        style='caffe',
        init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet50_caffe'),
    ),
    neck=dict(
        add_extra_convs='on_output',
        relu_before_extra_convs=True,
        init_cfg=dict(type='Caffe2Xavier', layer='Conv2d'),
    ),
    bbox_head=dict(
        prior_prob=0.02,
        anchor_generator=dict(type='LegacyAnchorGenerator'),
        bbox_coder=dict(type='LegacyDeltaBoxCoder', stds=[0.1, 0.1, 0.2, 0.2]),
    ),
    loss=dict(
        _delete_=True,
        type='FreeAnchorLoss',
        bag_size=50,
        iou_thr=0.6,
        alpha=0.5,
        gamma=2.0,
        box_weight=0.75,
        beta=0.11,
    ),
)
