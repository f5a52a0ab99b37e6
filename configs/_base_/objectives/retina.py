"""RetinaNet's objective: anchors assigned by IoU, focal loss, L1 of the deltas.

Coder stds of 1.0, as RetinaNet's recipe has them: they scale the box loss.
"""

objective = dict(
    bbox_head=dict(bbox_coder=dict(stds=[1.0, 1.0, 1.0, 1.0])),
    loss=dict(_delete_=True, type='RetinaLoss'),
)
