"""TOOD's task-aligned assignment, on RetinaNet's head.

On the anchors of the base, where its authors have one at each position.
"""

objective = dict(
    bbox_head=dict(bbox_coder=dict(stds=[0.1, 0.1, 0.2, 0.2])),
    loss=dict(_delete_=True, type='TALLoss'),
)
