"""AutoAssign, one anchor a position, ResNet-50, 12 epochs of COCO.

Box AP on val2017: 40.4 by MMDetection, 40.5 by the authors; ours not measured yet.
Theirs have a trunk of Caffe, and distances to the sides where ours has deltas.

    bash tools/dist_train.sh configs/auto_assign_r50_fpn_1x.py 8
"""

_base_ = [
    '_base_/models/atss_r50_fpn.py',
    '_base_/datasets/coco.py',
    '_base_/schedules/schedule_1x.py',
    '_base_/runtime/default.py',
]

model = dict(
    bbox_head=dict(prior_prob=0.02),
    # Its prior counts in strides, as the anchors' scale does.
    loss=dict(_delete_=True, type='AutoAssignLoss', num_classes=80, anchor_scale=8),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type='MultiStepLR', by_epoch=True, milestones=[8, 11], gamma=0.1),
]
