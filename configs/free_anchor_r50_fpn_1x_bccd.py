"""FreeAnchor on a data set of your own; here BCCD, 205 images of blood cells.

For other data change the folder, the file names and the classes. Boxes are in COCO's
format, categories named as below:

    data/bccd/annotations/train.json  val.json  test.json
    data/bccd/images/

Ours not measured yet.

    python tools/train.py configs/free_anchor_r50_fpn_1x_bccd.py
"""

_base_ = 'free_anchor_r50_fpn_1x.py'

data_root = 'data/bccd/'
classes = ('RBC', 'WBC', 'Platelets')
scale = (640, 480)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),  # for pictures, not for AP
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='PackDetInputs'),
]
files = dict(
    data_root=data_root,
    data_prefix=dict(img_path='images'),
    metainfo=dict(classes=classes),
)

train_dataloader = dict(
    batch_size=8,
    dataset=dict(ann_file='annotations/train.json', pipeline=train_pipeline, **files),
)
val_dataloader = dict(
    dataset=dict(ann_file='annotations/val.json', pipeline=test_pipeline, **files)
)
test_dataloader = dict(
    dataset=dict(ann_file='annotations/test.json', pipeline=test_pipeline, **files)
)
val_evaluator = dict(ann_file=data_root + 'annotations/val.json')
test_evaluator = dict(ann_file=data_root + 'annotations/test.json')

model = dict(bbox_head=dict(num_classes=len(classes)))

# 26 steps of 8 images are an epoch; the learning rate follows the smaller batch.
train_cfg = dict(max_epochs=36, val_interval=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=100),
    dict(type='MultiStepLR', by_epoch=True, milestones=[24, 33], gamma=0.1),
]
optim_wrapper = dict(optimizer=dict(lr=0.005))
auto_scale_lr = dict(base_batch_size=8)
default_hooks = dict(logger=dict(interval=10))
