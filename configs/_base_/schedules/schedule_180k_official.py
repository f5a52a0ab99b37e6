"""180,000 steps as in schedule_90k_official.py, each rate for twice as long."""

_base_ = 'schedule_90k_official.py'

train_cfg = dict(max_iters=180000)
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / 3, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=False, milestones=[120000, 160000], gamma=0.1),
]
