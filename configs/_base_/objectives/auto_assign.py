"""AutoAssign: every position in an object, weighted by what the network learns.

One anchor at each position, and a branch for the implicit objectness. The file that
uses this sets ``num_classes`` and ``anchor_scale`` of the loss, which follow the data.
"""

objective = dict(
    bbox_head=dict(
        type='QualityHead',
        num_groups=0,  # as RetinaHead, but for the quality branch and scales
        anchor_generator=dict(ratios=[1.0], scales_per_octave=1),
        bbox_coder=dict(stds=[0.1, 0.1, 0.2, 0.2]),
    ),
    loss=dict(_delete_=True, type='AutoAssignLoss'),
    # The product of class score and objectness.
    test_cfg=dict(rank_powers=[1.0, 0.0], score_powers=[1.0, 1.0]),
)
