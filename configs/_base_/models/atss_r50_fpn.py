"""ATSS on ResNet-50 and a feature pyramid, for the 80 classes of COCO."""

_base_ = 'retinanet_r50_fpn.py'

model = dict(
    neck=dict(add_extra_convs='on_output'),
    bbox_head=dict(
        type='QualityHead',
        num_groups=32,
        anchor_generator=dict(ratios=[1.0], octave_base_scale=8, scales_per_octave=1),
        bbox_coder=dict(stds=[0.1, 0.1, 0.2, 0.2]),
    ),
    loss=dict(
        _delete_=True,
        type='ATSSLoss',
        topk=9,
        alpha=0.25,
        gamma=2.0,
        box_weight=2.0,
        quality_weight=1.0,
    ),
    # Ranked by the class score; the score is its product with the centerness.
    test_cfg=dict(nms_iou=0.6, rank_powers=[1.0, 0.0], score_powers=[1.0, 1.0]),
)
