"""PAA: anchors parted by a mixture of two Gaussians, and a branch for the IoU.

On the anchors of the base, where its authors have one at each position. Without score
voting, which changes boxes after NMS.
"""

objective = dict(
    bbox_head=dict(
        type='QualityHead',
        num_groups=0,  # as RetinaHead, but for the quality branch and scales
        bbox_coder=dict(stds=[0.1, 0.1, 0.2, 0.2]),
    ),
    loss=dict(_delete_=True, type='PAALoss'),
    # The geometric mean of class score and predicted IoU.
    test_cfg=dict(rank_powers=[0.5, 0.5], score_powers=[0.5, 0.5]),
)
