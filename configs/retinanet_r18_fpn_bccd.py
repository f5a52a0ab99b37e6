"""RetinaNet, the twin of free_anchor_r18_fpn_bccd.py: another loss, all else equal.

python tools/train.py configs/retinanet_r18_fpn_bccd.py
"""

_base_ = 'free_anchor_r18_fpn_bccd.py'

model = dict(
    bbox_head=dict(bbox_coder=dict(stds=[1.0, 1.0, 1.0, 1.0])),
    loss=dict(_delete_=True, type='RetinaLoss'),
)
