from typing import Any

import pytest
from mmengine.config import ConfigDict

from freeanchor.engine import ConfigError
from freeanchor.engine.config_check import check_config
from freeanchor.registry import MODELS


@MODELS.register_module()
class ToyTrunk:
    def __init__(self, depth: int, init_cfg: dict | None = None) -> None: ...


@MODELS.register_module()
class ToyDetector:
    def __init__(
        self, backbone: dict, test_cfg: dict | None = None, **options: Any
    ) -> None:
        self.options = options


def detector(**changes: Any) -> dict:
    model = dict(type='ToyDetector', backbone=dict(type='ToyTrunk', depth=18))
    return ConfigDict(model=ConfigDict(model, **changes))


MISTAKES = [
    # The config, the place the error must name, and the name it must suggest.
    (detector(type='ToyDetectr'), 'model.type', 'ToyDetector'),
    (
        detector(backbone=dict(type='ToyTrnk', depth=1)),
        'model.backbone.type',
        'ToyTrunk',
    ),
    (
        detector(backbone=dict(type='ToyTrunk', dept=1)),
        'model.backbone.dept',
        'depth',
    ),
    (detector(backbon=dict(type='ToyTrunk', depth=1)), 'model.backbon', 'backbone'),
    (
        detector(backbone=dict(type='ToyTrunk', depth=1, init_cfg=dict(type='Xaviar'))),
        'model.backbone.init_cfg.type',
        'Xavier',
    ),
    (
        dict(optim_wrapper=dict(optimizer=dict(type='SDG', lr=1))),
        'optim_wrapper.optimizer.type',
        'SGD',
    ),
    (
        dict(optim_wrapper=dict(optimizer=dict(type='SGD', lrr=1))),
        'optim_wrapper.optimizer.lrr',
        'lr',
    ),
    (dict(optim_wrapper=dict(clip_gard=1)), 'optim_wrapper.clip_gard', 'clip_grad'),
    (
        dict(optim_wrapper=dict(clip_grad=dict(max_nrom=1))),
        'optim_wrapper.clip_grad.max_nrom',
        'max_norm',
    ),
    (
        dict(param_scheduler=[dict(type='LinearLR', start_facto=1)]),
        'param_scheduler.0.start_facto',
        'start_factor',
    ),
    (dict(train_cfg=dict(by_epoch=True, max_epoch=1)), 'train_cfg.max_epoch', 'max_'),
    (dict(train_dataloader=dict(batchsize=1)), 'train_dataloader.batchsize', 'batch_'),
    (
        dict(train_dataloader=dict(sampler=dict(type='DefaultSamplr'))),
        'train_dataloader.sampler.type',
        'DefaultSampler',
    ),
    (
        dict(
            train_dataloader=dict(
                dataset=dict(
                    type='BaseDataset',
                    pipeline=[dict(type='LoadImageFromFile'), dict(type='Resiez')],
                )
            )
        ),
        'train_dataloader.dataset.pipeline.1.type',
        'Resize',
    ),
    (dict(env_cfg=dict(dist_cgf=dict())), 'env_cfg.dist_cgf', 'dist_cfg'),
    (dict(env_cfg=dict(dist_cfg=dict(timout=1))), 'dist_cfg.timout', 'timeout'),
    (dict(randomness=dict(sed=1)), 'randomness.sed', 'seed'),
    (
        dict(default_hooks=dict(chekpoint=dict(type='CheckpointHook'))),
        'default_hooks.chekpoint',
        'checkpoint',
    ),
    (
        dict(default_hooks=dict(checkpoint=dict(type='CheckpointHook', intervl=1))),
        'default_hooks.checkpoint.intervl',
        'interval',
    ),
    (
        dict(custom_hooks=[dict(type='EMAHok')]),
        'custom_hooks.0.type',
        'EMAHook',
    ),
    (
        dict(visualizer=dict(type='Visualizer', vis_backend=[])),
        'visualizer.vis_backend',
        'vis_backends',
    ),
]


@pytest.mark.parametrize(
    ('cfg', 'place', 'meant'), MISTAKES, ids=[place for _, place, _ in MISTAKES]
)
def test_a_slip_is_found_and_the_nearest_name_given(cfg, place, meant):
    with pytest.raises(ConfigError) as caught:
        check_config(cfg)
    text = str(caught.value)
    assert place in text
    assert meant in text.split(':', 1)[1]
    assert '\n' not in text


LEGITIMATE = [
    detector(),
    detector(anything_else=1),
    detector(backbone=dict(type='ToyTrunk', depth=1, _scope_='freeanchor')),
    detector(test_cfg=dict(score_thr=0.05, whatever=dict(nested=1))),
    detector(norm_cfg=dict(type='BN', requires_grad=True)),
    detector(
        init_cfg=dict(
            type='Normal',
            layer='Conv2d',
            std=0.01,
            override=dict(type='Normal', name='cls', std=0.01, bias_prob=0.01),
        )
    ),
    dict(model=dict(type='mmengine.BaseTTAModel', module=dict(type=ToyTrunk))),
    dict(custom_hooks=[dict(type='mmengine.hooks.EMAHook', momentum=0.1)]),
    dict(model=dict(type='freeanchor.ToyTrunk', depth=1)),
    dict(custom_hooks=[dict(type='EMAHook', ema_type='StochasticWeightAverage')]),
    dict(model=dict(type=ToyTrunk, depth=1)),
    dict(
        optim_wrapper=dict(
            type='AmpOptimWrapper',
            dtype='float16',
            loss_scale='dynamic',
            accumulative_counts=2,
            optimizer=dict(type='AdamW', lr=1, betas=(0.9, 0.999), fused=True),
            paramwise_cfg=dict(norm_decay_mult=0, custom_keys=dict(type=dict(x=1))),
            clip_grad=dict(type='value', clip_value=1),
            constructor='DefaultOptimWrapperConstructor',
        )
    ),
    dict(
        param_scheduler=[
            dict(type='CosineAnnealingLR', T_max=3, convert_to_iter_based=True),
            dict(type='MultiStepLR', milestones=[1], begin=0, end=3, gamma=0.1),
        ]
    ),
    dict(
        train_dataloader=dict(
            batch_size=2,
            num_workers=1,
            persistent_workers=True,
            pin_memory=True,
            drop_last=True,
            num_batch_per_epoch=3,
            collate_fn=dict(type='pseudo_collate'),
            sampler=dict(type='InfiniteSampler', shuffle=True),
            dataset=dict(
                type='ConcatDataset',
                datasets=[
                    dict(
                        type='RepeatDataset',
                        times=2,
                        dataset=dict(
                            type='BaseDataset',
                            metainfo=dict(classes=('a',), type='anything'),
                            data_prefix=dict(img_path='x', type='y'),
                            pipeline=[
                                dict(
                                    type='LoadImageFromFile',
                                    backend_args=dict(backend='local', type='any'),
                                ),
                                dict(
                                    type='RandomChoice',
                                    transforms=[[dict(type='RandomFlip', prob=1.0)]],
                                ),
                                dict(
                                    type='RandomChoiceResize',
                                    scales=[(1, 2)],
                                    keep_ratio=True,
                                ),
                            ],
                        ),
                    )
                ],
            ),
        )
    ),
    dict(train_cfg=dict(by_epoch=False, max_iters=3), val_cfg=dict(), test_cfg=dict()),
    dict(val_cfg=dict(type='ValLoop', fp16=True), val_evaluator=dict(metrics=[])),
    dict(
        default_hooks=dict(
            timer=None,
            logger=dict(type='LoggerHook', interval=5, priority='LOW'),
            checkpoint=dict(type='CheckpointHook', interval=1, save_best='auto'),
            my_own=dict(type='EarlyStoppingHook', monitor='x'),
        ),
        custom_hooks=[dict(type='EMAHook', momentum=0.1, priority=49)],
    ),
    dict(
        visualizer=dict(
            type='Visualizer',
            name='v',
            vis_backends=[dict(type='LocalVisBackend'), dict(type='WandbVisBackend')],
        ),
        log_processor=dict(window_size=5, by_epoch=True),
        model_wrapper_cfg=dict(find_unused_parameters=True),
        env_cfg=dict(
            cudnn_benchmark=True,
            mp_cfg=dict(mp_start_method='spawn', opencv_num_threads=0),
            dist_cfg=dict(backend='gloo', timeout=5),
            resource_limit=10,
        ),
        randomness=dict(seed=1, deterministic=True, diff_rank_seed=False),
        auto_scale_lr=dict(enable=True, base_batch_size=16),
        custom_imports=dict(imports=['os'], allow_failed_imports=False),
        launcher='none',
        load_from=None,
        resume=False,
    ),
]


@pytest.mark.parametrize('cfg', LEGITIMATE)
def test_what_mmengine_can_build_is_accepted(cfg):
    check_config(cfg)


def test_a_hook_without_a_type_is_missing_it():
    with pytest.raises(ConfigError, match=r'custom_hooks\.0: no type'):
        check_config(dict(custom_hooks=[dict(interval=1)]))


@pytest.mark.parametrize('hooks', ["[dict(type='EMAHook')]", ["dict(type='EMAHook')"]])
def test_a_hook_that_is_text_is_not_a_hook(hooks):
    with pytest.raises(ConfigError, match=r'custom_hooks\.0: .* is text, not a dict'):
        check_config(dict(custom_hooks=hooks))


def test_nothing_to_delete_is_an_error_of_its_own():
    with pytest.raises(ConfigError, match='leave _delete_ out'):
        check_config(detector(backbone=dict(type='ToyTrunk', depth=1, _delete_=True)))
