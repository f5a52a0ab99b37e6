"""Learning to match, FreeAnchor's successor, with its authors' settings.

Its authors train with half of FreeAnchor's learning rate.
"""

objective = dict(
    bbox_head=dict(bbox_coder=dict(stds=[0.1, 0.1, 0.2, 0.2])),
    loss=dict(_delete_=True, type='LTMLoss'),
)
