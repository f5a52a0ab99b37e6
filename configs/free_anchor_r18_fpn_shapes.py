"""FreeAnchor, the quick start: ResNet-18 from scratch on generated shapes.

What it reaches over three seeds, beside its twin retinanet_r18_fpn_shapes.py, is in
docs/results.md.

    python tools/train.py configs/free_anchor_r18_fpn_shapes.py
"""

_base_ = 'retinanet_r18_fpn_shapes.py'

model = dict(
    bbox_head=dict(bbox_coder=dict(stds=[0.1, 0.1, 0.2, 0.2])),
    loss=dict(_delete_=True, type='FreeAnchorLoss'),  # with the paper's settings
)
