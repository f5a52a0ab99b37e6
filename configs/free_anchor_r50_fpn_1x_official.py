"""FreeAnchor, ResNet-50, as its authors trained it: 90k steps of 16 images.

Box AP of COCO: 38.7 on val2017 and 38.7 on test-dev by the authors; ours is
not measured yet. docs/official.md says what differs from free_anchor_r50_fpn_1x.py.

    bash tools/dist_train.sh configs/free_anchor_r50_fpn_1x_official.py 8
"""

_base_ = [
    '_base_/models/retinanet_r50_caffe_fpn_official.py',
    '_base_/datasets/coco_official.py',
    '_base_/schedules/schedule_90k_official.py',
    '_base_/runtime/iterations.py',
]
