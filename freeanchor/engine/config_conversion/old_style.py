"""MMDetection 2.x configs in the words of 3.x."""

import os
from collections.abc import Callable
from typing import Any

from .report import Report, Taken

_OF_CHECKPOINTS = ('interval', 'max_keep_ckpts', 'by_epoch', 'save_last')
_FORMATTING = ('DefaultFormatBundle', 'ImageToTensor', 'Normalize', 'Pad')


def is_old(cfg: dict) -> bool:
    """Whether a config is of 2.x: it has ``data`` and an optimiser at its top."""
    return 'data' in cfg or 'optimizer' in cfg or 'lr_config' in cfg


def modernised(cfg: dict, report: Report) -> dict[str, Any]:
    """A 2.x config as one of 3.x, as far as this package can use it."""
    source = Taken(cfg, 'config', report)
    data = source.inner('data')
    new: dict[str, Any] = dict(default_scope='mmdet')
    new['model'] = _model(source, data.values)
    for split, loader in (('train', 'train'), ('val', 'val'), ('test', 'test')):
        new[f'{loader}_dataloader'] = _loader(data, split)
    for split in ('val', 'test'):
        file = _joined(new[f'{split}_dataloader']['dataset'])
        new[f'{split}_evaluator'] = dict(type='CocoMetric', ann_file=file)
    new.update(_schedule(source))
    new['optim_wrapper'] = _optimizer(source)
    new['default_hooks'] = _hooks(source)
    for key in ('custom_hooks', 'load_from', 'work_dir', 'log_level', 'resume'):
        if source.values.get(key):
            new[key] = source.take(key)
    if source.take('resume_from'):
        report.note('resume_from: give tools/train.py --resume')
    source.drop('workflow', 'dist_params', 'opencv_num_threads', 'mp_start_method')
    new.update(source.values)  # what is left is looked at as in 3.x
    return new


def _model(source: Taken, data: dict) -> dict[str, Any]:
    model = dict(source.take('model') or {})
    # At first they stood beside the model.
    for key in ('train_cfg', 'test_cfg'):
        if key in source:
            model[key] = source.take(key)
    pretrained = model.pop('pretrained', None)
    backbone = dict(model.get('backbone') or {})
    if pretrained:
        backbone['init_cfg'] = dict(type='Pretrained', checkpoint=pretrained)
    neck = dict(model.get('neck') or {})
    on_inputs = neck.pop('extra_convs_on_inputs', True)
    if neck.get('add_extra_convs') is True and not on_inputs:
        neck['add_extra_convs'] = 'on_output'
    steps = _steps(data.get('train') or {})
    norm = next((x for x in steps if x.get('type') == 'Normalize'), {})
    pad = next((x for x in steps if x.get('type') == 'Pad'), {})
    preprocessor = dict(
        type='DetDataPreprocessor',
        mean=norm.get('mean'),
        std=norm.get('std'),
        bgr_to_rgb=norm.get('to_rgb', True),
        pad_size_divisor=pad.get('size_divisor') or 1,
    )
    return dict(model, backbone=backbone, neck=neck, data_preprocessor=preprocessor)


def _steps(dataset: dict) -> list[dict]:
    while 'dataset' in dataset:  # RepeatDataset
        dataset = dataset['dataset']
    return dataset.get('pipeline') or []


def _loader(data: Taken, split: str) -> dict[str, Any]:
    training = split == 'train'
    dataset = dict(data.take(split) or {})
    own = {**data.values, **data.take(f'{split}_dataloader', {})}
    loader: dict[str, Any] = dict(
        batch_size=own.get('samples_per_gpu', 2) if training else 1,
        num_workers=own.get('workers_per_gpu', 2),
        persistent_workers=True,
        sampler=dict(type='DefaultSampler', shuffle=training),
        dataset=_dataset(dataset, not training, data.report),
    )
    if training:
        loader['batch_sampler'] = dict(type='AspectRatioBatchSampler')
    return loader


def _dataset(dataset: dict, test_mode: bool, report: Report) -> dict[str, Any]:
    if 'dataset' in dataset:
        inner = _dataset(dataset['dataset'], test_mode, report)
        return dict(dataset, dataset=inner)
    new = dict(dataset)
    new['data_prefix'] = dict(img=new.pop('img_prefix', ''))
    classes = new.pop('classes', None)
    if classes is not None:
        new['metainfo'] = dict(classes=classes)
    if not test_mode:
        # 2.x always did both in training.
        empty = new.pop('filter_empty_gt', True)
        new['filter_cfg'] = dict(filter_empty_gt=empty, min_size=32)
    new['test_mode'] = test_mode
    path = 'data.test' if test_mode else 'data.train'
    new['pipeline'] = _pipeline(new.get('pipeline') or [], path, report)
    return new


def _pipeline(steps: list[dict], path: str, report: Report) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for i, step in enumerate(steps):
        source = Taken(step, f'{path}.pipeline.{i}', report)
        kind = source.take('type')
        if kind in _FORMATTING:
            continue
        if kind == 'MultiScaleFlipAug':
            found += _one_scale(source, path)
        elif kind in _RENAMED:
            found.append(_RENAMED[kind](source))
        else:
            found.append(step)
    return found


def _one_scale(source: Taken, path: str) -> list[dict[str, Any]]:
    scale, flip = source.take('img_scale'), source.take('flip', False)
    if flip or isinstance(scale, list):
        source.report.note(f'{source.path}: one scale without flips is tested')
    scale = scale[0] if isinstance(scale, list) else scale
    steps = [
        dict(x, img_scale=scale) if x.get('type') == 'Resize' else x
        for x in source.take('transforms')
        if x.get('type') != 'RandomFlip'
    ]
    return _pipeline(steps, path, source.report)


def _resize(source: Taken) -> dict[str, Any]:
    scale = source.take('img_scale')
    mode = source.take('multiscale_mode', 'range')
    source.drop('override')
    new = dict(source.values)
    new.setdefault('keep_ratio', True)  # its default; that of 3.x is False
    if 'ratio_range' in new:
        return dict(new, type='RandomResize', scale=scale)
    if not isinstance(scale, list) or len(scale) == 1:
        one = scale[0] if isinstance(scale, list) else scale
        return dict(new, type='Resize', scale=one)
    if mode == 'value':
        return dict(new, type='RandomChoiceResize', scales=scale)
    return dict(new, type='RandomResize', scale=scale)


def _flip(source: Taken) -> dict[str, Any]:
    return dict(source.values, type='RandomFlip', prob=source.take('flip_ratio', None))


def _collect(source: Taken) -> dict[str, Any]:
    return dict(type='PackDetInputs')


_RENAMED: dict[str, Callable[[Taken], dict[str, Any]]] = {
    'Resize': _resize,
    'RandomFlip': _flip,
    'Collect': _collect,
}


def _joined(dataset: dict) -> str:
    return os.path.join(dataset.get('data_root') or '', dataset.get('ann_file', ''))


def _schedule(source: Taken) -> dict[str, Any]:
    runner = source.inner('runner', dict(type='EpochBasedRunner'))
    policy, evaluation = source.inner('lr_config'), source.inner('evaluation')
    policy.expect('policy', 'step')
    policy.expect('warmup', 'linear', None)
    by_epoch = runner.take('type') != 'IterBasedRunner'
    length = 'max_epochs' if by_epoch else 'max_iters'
    total = runner.take(length, source.take('total_epochs', 12))
    kind = 'EpochBasedTrainLoop' if by_epoch else 'IterBasedTrainLoop'
    every = evaluation.take('interval', 1)
    milestones = policy.take('step', [])
    milestones = milestones if isinstance(milestones, list) else [milestones]
    rates = [dict(type='MultiStepLR', by_epoch=by_epoch, milestones=milestones)]
    rates[0]['gamma'] = policy.take('gamma', 0.1)
    if 'warmup_iters' in policy:
        start = policy.take('warmup_ratio', 0.1)
        end = policy.take('warmup_iters')
        warm = dict(type='LinearLR', start_factor=start, by_epoch=False)
        rates.insert(0, dict(warm, begin=0, end=end))
    policy.end()
    runner.end(harmless=True)
    evaluation.drop('metric')
    evaluation.end(harmless=True)
    return dict(
        train_cfg={'type': kind, length: total, 'val_interval': every},
        val_cfg=dict(type='ValLoop'),
        test_cfg=dict(type='TestLoop'),
        param_scheduler=rates,
        auto_scale_lr=source.take('auto_scale_lr', dict(base_batch_size=16)),
        log_processor=dict(by_epoch=by_epoch),
    )


def _optimizer(source: Taken) -> dict[str, Any]:
    optimizer = dict(source.take('optimizer') or {})
    wrapper: dict[str, Any] = dict(type='OptimWrapper')
    if source.take('fp16'):
        wrapper['type'] = 'AmpOptimWrapper'
    if 'paramwise_cfg' in optimizer:
        wrapper['paramwise_cfg'] = optimizer.pop('paramwise_cfg')
    config = source.inner('optimizer_config')
    config.drop('type')
    clip = config.take('grad_clip')
    if clip:
        wrapper['clip_grad'] = clip
    config.end(harmless=True)
    return dict(wrapper, optimizer=optimizer)


def _hooks(source: Taken) -> dict[str, dict]:
    log, saved = source.inner('log_config'), source.inner('checkpoint_config')
    kept = {x: saved.take(x) for x in _OF_CHECKPOINTS if x in saved}
    saved.end(harmless=True)
    logger = dict(interval=log.take('interval', 50))
    log.drop('hooks')
    log.end(harmless=True)
    return dict(logger=logger, checkpoint=kept)
