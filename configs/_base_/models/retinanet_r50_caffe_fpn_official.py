"""RetinaNet as FreeAnchor's authors have it, on ResNet-50; docs/official.md says why.

Pictures stay in BGR and are not divided, the trunk strides in its first 1x1
convolutions and all its norms are frozen, P6 comes from P5, and anchors and boxes are
those of maskrcnn-benchmark.
"""

model = dict(
    type='SingleStageDetector',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[102.9801, 115.9465, 122.7717],
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_eval=True,
        norm_requires_grad=False,
        style='caffe',
        init_cfg=dict(
            type='Pretrained', checkpoint='open-mmlab://detectron2/resnet50_caffe'
        ),
    ),
    neck=dict(
        type='FPN',
        in_channels=[256, 512, 1024, 2048],
        out_channels=256,
        start_level=1,
        add_extra_convs='on_output',
        relu_before_extra_convs=True,
        num_outs=5,
        init_cfg=dict(type='Caffe2Xavier', layer='Conv2d'),
    ),
    bbox_head=dict(
        type='RetinaHead',
        num_classes=80,
        in_channels=256,
        feat_channels=256,
        stacked_convs=4,
        prior_prob=0.02,
        anchor_generator=dict(
            type='LegacyAnchorGenerator',
            strides=[8, 16, 32, 64, 128],
            ratios=[0.5, 1.0, 2.0],
            octave_base_scale=4,
            scales_per_octave=3,
        ),
        bbox_coder=dict(type='LegacyDeltaBoxCoder', stds=[0.1, 0.1, 0.2, 0.2]),
    ),
    loss=dict(
        type='FreeAnchorLoss',
        bag_size=50,
        iou_thr=0.6,
        alpha=0.5,
        gamma=2.0,
        box_weight=0.75,
        beta=0.11,
    ),
    test_cfg=dict(score_thr=0.05, nms_pre=1000, nms_iou=0.5, max_per_img=100),
)
