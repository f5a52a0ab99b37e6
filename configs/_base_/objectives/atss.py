"""ATSS: adaptive assignment by statistics of IoU, and a branch for centerness.

On the anchors of the base, where its authors have one at each position.
"""

objective = dict(
    bbox_head=dict(
        type='QualityHead',
        num_groups=0,  # as RetinaHead, but for the quality branch and scales
        bbox_coder=dict(stds=[0.1, 0.1, 0.2, 0.2]),
    ),
    loss=dict(_delete_=True, type='ATSSLoss'),
    # Ranked by the class score; the score is its product with the centerness.
    test_cfg=dict(rank_powers=[1.0, 0.0], score_powers=[1.0, 1.0]),
)
