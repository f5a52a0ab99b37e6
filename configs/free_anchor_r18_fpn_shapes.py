"""FreeAnchor, the quick start: ResNet-18 from scratch on generated shapes.

python tools/train.py configs/free_anchor_r18_fpn_shapes.py
"""

_base_ = 'retinanet_r18_fpn_shapes.py'

model = dict(
    bbox_head=dict(bbox_coder=dict(stds=[0.1, 0.1, 0.2, 0.2])),
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
optim_wrapper = dict(optimizer=dict(lr=0.002))
