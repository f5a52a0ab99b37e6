"""COCO 2017 as FreeAnchor's authors read it: resized by Pillow, crowds left out.

Only images without any annotation are left out; crowds count as background, because
FreeAnchorLoss ignores no region unless told to.
"""

_base_ = 'coco.py'

scale = (1333, 800)  # longer side at most, shorter side at most
resize = dict(type='Resize', scale=scale, keep_ratio=True, backend='pillow')

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    resize,
    dict(type='LegacyBoxes'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    resize,
    dict(type='PackDetInputs'),
]

train_dataloader = dict(
    dataset=dict(filter_cfg=dict(min_size=0), pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
