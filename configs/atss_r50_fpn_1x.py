"""ATSS, ResNet-50, 12 epochs of COCO.

Box AP on val2017: 39.4 by MMDetection, 39.3 by the authors; ours not measured yet.

    bash tools/dist_train.sh configs/atss_r50_fpn_1x.py 8
"""

_base_ = [
    '_base_/models/atss_r50_fpn.py',
    '_base_/datasets/coco.py',
    '_base_/schedules/schedule_1x.py',
    '_base_/runtime/default.py',
]
