"""FreeAnchor, small: 160 photographs of raccoons, minutes on a CPU.

data/raccoon/annotations/train.json  test.json
data/raccoon/images/

python tools/train.py configs/free_anchor_r18_fpn_raccoon.py
"""

_base_ = 'free_anchor_r18_fpn_bccd.py'

data_root = 'data/raccoon/'
files = dict(data_root=data_root, metainfo=dict(classes=('raccoon',)))
tests = dict(ann_file='annotations/test.json', **files)
train_dataloader = dict(dataset=files)
val_dataloader = dict(dataset=tests)
test_dataloader = dict(dataset=tests)
val_evaluator = dict(ann_file=data_root + 'annotations/test.json')
test_evaluator = val_evaluator

model = dict(bbox_head=dict(num_classes=1))
