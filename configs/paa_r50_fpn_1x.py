"""PAA, ResNet-50, 12 epochs of COCO.

Box AP on val2017: 40.4 by MMDetection; ours not measured yet.

    bash tools/dist_train.sh configs/paa_r50_fpn_1x.py 8
"""

_base_ = 'atss_r50_fpn_1x.py'

model = dict(
    loss=dict(
        _delete_=True,
        type='PAALoss',
        candidate_iou=0.1,
        topk=9,
        alpha=0.25,
        gamma=2.0,
        box_weight=1.3,
        quality_weight=0.5,
    ),
    # The geometric mean of class score and predicted overlap; boxes are averaged
    # with those around them after NMS.
    test_cfg=dict(rank_powers=[0.5, 0.5], score_powers=[0.5, 0.5], voting_sigma=0.025),
)
