"""LTM, the successor of FreeAnchor by its authors, ResNet-50, 12 epochs of COCO.

With the settings of the authors' code, which names no box AP; ours not measured yet.

    bash tools/dist_train.sh configs/ltm_r50_fpn_1x.py 8
"""

_base_ = [
    '_base_/models/retinanet_r50_fpn.py',
    '_base_/datasets/coco.py',
    '_base_/schedules/schedule_1x.py',
    '_base_/runtime/default.py',
]

model = dict(
    bbox_head=dict(bbox_coder=dict(stds=[0.1, 0.1, 0.2, 0.2])),
    loss=dict(
        _delete_=True,
        type='LTMLoss',
        bag_size=40,
        gamma=2.0,
        box_weight=0.5,
        beta=1 / 9,
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / 3, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, milestones=[8, 11], gamma=0.1),
]
optim_wrapper = dict(optimizer=dict(lr=0.005), clip_grad=dict(max_norm=10, norm_type=2))
