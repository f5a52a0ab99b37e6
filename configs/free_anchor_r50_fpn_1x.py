"""FreeAnchor, ResNet-50, 12 epochs of COCO.

Box AP on val2017: 38.7 by MMDetection, 38.7 by the authors; ours not measured yet.

    bash tools/dist_train.sh configs/free_anchor_r50_fpn_1x.py 8
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
        type='FreeAnchorLoss',
        bag_size=50,
        iou_thr=0.6,
        alpha=0.5,
        gamma=2.0,
        box_weight=0.75,
        beta=0.11,
    ),
)
optim_wrapper = dict(clip_grad=dict(max_norm=35, norm_type=2))
