"""FreeAnchor's objective, with the paper's settings."""

objective = dict(
    bbox_head=dict(bbox_coder=dict(stds=[0.1, 0.1, 0.2, 0.2])),
    loss=dict(_delete_=True, type='FreeAnchorLoss'),
)
