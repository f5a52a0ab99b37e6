"""What happens around training: logs, checkpoints, pictures, processes."""

default_scope = 'freeanchor'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='ProgressLoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook',
        interval=1,
        every_minutes=30,
        max_keep_ckpts=3,
        save_best='coco/bbox_mAP',
        rule='greater',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='DetVisualizationHook'),
    finite_loss=dict(type='FiniteLossHook', max_skips=10, interval=50),
    watchdog=dict(type='WatchdogHook', min_seconds=300, factor=20),
    class_check=dict(type='ClassCheckHook'),
    broken_images=dict(type='BrokenImagesHook', max_share=0.01),
    summary=dict(type='SummaryHook'),
    stop_on_signal=dict(type='StopHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=0)

# Text and JSON lines. For TensorBoard add dict(type='TensorboardVisBackend').
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
log_level = 'INFO'

load_from = None
resume = False
