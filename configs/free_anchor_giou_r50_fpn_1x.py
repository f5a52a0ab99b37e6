"""FreeAnchor whose localisation likelihood falls with the GIoU loss, ResNet-50.

A variant of ours, 12 epochs of COCO; not measured yet, nor its weight tuned.

    bash tools/dist_train.sh configs/free_anchor_giou_r50_fpn_1x.py 8
"""

_base_ = 'free_anchor_r50_fpn_1x.py'

model = dict(loss=dict(box_weight=2.0, localization=dict(type='GIoUDistance')))
