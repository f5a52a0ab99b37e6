"""RetinaNet, the quick start's baseline: ResNet-18 from scratch on generated shapes.

The twin of free_anchor_r18_fpn_shapes.py: all is equal but the loss and the scale of
its box deltas.

    python tools/train.py configs/retinanet_r18_fpn_shapes.py
"""

_base_ = [
    '_base_/models/retinanet_r50_fpn.py',
    '_base_/datasets/shapes.py',
    '_base_/schedules/schedule_1x.py',
    '_base_/runtime/default.py',
]

# Objects are 15 to 90 pixels: anchors of 16 to 101 on three levels. The trunk ends at
# its third stage; the fourth costs a third of the time and sees 4 x 3 cells.
model = dict(
    backbone=dict(
        depth=18,
        out_indices=(0, 1, 2),
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[64, 128, 256], out_channels=96, num_outs=3),
    bbox_head=dict(
        num_classes=6,
        in_channels=96,
        feat_channels=96,
        stacked_convs=2,
        anchor_generator=dict(strides=[8, 16, 32], octave_base_scale=2),
    ),
)

# From scratch, where many small steps help most: 100 an epoch.
train_cfg = dict(max_epochs=12, val_interval=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type='CosineAnnealingLR', T_max=12, convert_to_iter_based=True),
]
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.001, weight_decay=0.05),
    clip_grad=dict(max_norm=35, norm_type=2),
)
auto_scale_lr = dict(base_batch_size=4)
default_hooks = dict(
    logger=dict(interval=25), visualization=dict(num_images=16, score_thr=0.5)
)
