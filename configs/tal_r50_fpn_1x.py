"""TOOD's task-aligned assignment on RetinaNet, ResNet-50, 12 epochs of COCO.

TOOD reaches a box AP of 42.4 on val2017 by MMDetection with a head of its own and
ATSS in its first epochs; the assignment alone is not measured yet.

    bash tools/dist_train.sh configs/tal_r50_fpn_1x.py 8
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
        type='TALLoss',
        num_candidates=13,
        alpha=1.0,
        beta=6.0,
        gamma=2.0,
        box_weight=2.0,
    ),
    test_cfg=dict(nms_iou=0.6),
)
