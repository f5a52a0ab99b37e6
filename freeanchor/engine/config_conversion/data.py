"""Data sets, pipelines and metrics of an MMDetection 3.x config, in our terms."""

from collections.abc import Callable
from typing import Any

from .report import Report, Taken

_SAMPLERS = ('DefaultSampler', 'InfiniteSampler')
_UNNEEDED = ('backend_args', 'file_client_args')
_LEAST_SIDE = 1.0  # pixels; PackDetInputs leaves out thinner boxes


def convert_dataloader(loader: dict, path: str, report: Report) -> dict[str, Any]:
    """A ``*_dataloader``; what it cannot be goes to ``report``."""
    source = Taken(loader, path, report)
    ours = {
        key: source.take(key)
        for key in ('batch_size', 'num_workers', 'persistent_workers', 'pin_memory')
        if key in source
    }
    ours['drop_last'] = source.take('drop_last', False)
    sampler = source.inner('sampler')
    sampler.expect('type', *_SAMPLERS)
    ours['sampler'] = dict(sampler.values, type=loader['sampler']['type'])
    batches = source.inner('batch_sampler')
    if batches.values:
        batches.expect('type', 'AspectRatioBatchSampler')
        ours['batch_sampler'] = dict(
            type='AspectRatioBatchSampler',
            drop_last=batches.take('drop_last', ours.pop('drop_last')),
        )
    ours['dataset'] = _dataset(source.inner('dataset'))
    source.end(harmless=True)
    return ours


def _dataset(source: Taken) -> dict[str, Any]:
    kind = source.take('type')
    if kind == 'RepeatDataset':
        times = source.take('times')
        return dict(type=kind, times=times, dataset=_dataset(source.inner('dataset')))
    if kind != 'CocoDataset':
        source.report.block(f'{source.path}.type={kind!r}: known is CocoDataset')
        return {}
    source.drop(*_UNNEEDED)
    ours = dict(type=kind)
    for key in ('data_root', 'ann_file', 'metainfo', 'filter_cfg', 'test_mode'):
        if source.values.get(key) not in (None, False):
            ours[key] = source.take(key)
    prefix = source.inner('data_prefix')
    ours['data_prefix'] = dict(img_path=prefix.take('img', prefix.take('img_path', '')))
    prefix.end(harmless=True)
    steps = source.take('pipeline') or []
    ours['pipeline'] = convert_pipeline(steps, f'{source.path}.pipeline', source.report)
    source.end()
    return ours


def convert_pipeline(steps: list, path: str, report: Report) -> list[dict[str, Any]]:
    """A pipeline, step by step."""
    found: list[dict[str, Any]] = []
    for i, step in enumerate(steps):
        source = Taken(step, f'{path}.{i}', report)
        kind = source.take('type')
        if kind not in _STEPS:
            report.block(f'{source.path}.type={kind!r}: no such transform here')
            continue
        ours = _STEPS[kind](source)
        source.end()
        # Behind a resize it loads the boxes of the image as it was, for their
        # metric; ours reads the annotation file.
        is_late = kind == 'LoadAnnotations' and any(
            'Resize' in x['type'] for x in found
        )
        if ours is not None and not is_late:
            found.append(dict(type=kind, **ours))
    return found


def _load_image(source: Taken) -> dict[str, Any]:
    source.drop(*_UNNEEDED)
    kept = ('imdecode_backend', 'to_float32', 'color_type')
    return {key: source.take(key) for key in kept if key in source}


def _load_annotations(source: Taken) -> dict[str, Any]:
    source.drop('poly2mask', 'box_type', 'with_label', *_UNNEEDED)
    if source.take('with_mask'):
        source.report.note(f'{source.path}: masks are not read')
    return dict(with_bbox=source.take('with_bbox', True))


def _resize(source: Taken) -> dict[str, Any]:
    source.expect('clip_object_border', True)
    source.expect('resize_type', 'Resize')
    if not source.take('keep_ratio', False):
        source.report.block(f'{source.path}: keep_ratio is not True')
    ours = {
        key: source.take(key)
        for key in ('scale', 'scales', 'ratio_range', 'scale_factor', 'backend')
        if key in source
    }
    return dict(ours, keep_ratio=True)


def _flip(source: Taken) -> dict[str, Any]:
    return {key: source.take(key) for key in ('prob', 'direction') if key in source}


def _crop(source: Taken) -> dict[str, Any] | None:
    kind, size = source.take('crop_type', 'absolute'), tuple(source.take('crop_size'))
    if kind != 'absolute' and not (kind == 'absolute_range' and size[0] == size[1]):
        source.report.block(f'{source.path}.crop_type={kind!r}')
        return None
    source.drop('recompute_bbox')  # of boxes from masks
    source.expect('bbox_clip_border', True)
    allowed = source.take('allow_negative_crop', False)
    return dict(crop_size=size, allow_negative_crop=allowed)


def _filter(source: Taken) -> None:
    source.expect('by_box', True)
    source.expect('by_mask', False)
    source.drop('min_gt_mask_area')
    if max(source.take('min_gt_bbox_wh', (1.0, 1.0))) > _LEAST_SIDE:
        source.report.block(f'{source.path}: boxes wider than a pixel are left out')
    source.drop('keep_empty')
    source.report.note(
        f'{source.path}: FilterAnnotations is not needed, boxes under a pixel are '
        'always left out; an image that is left without boxes is trained on as it is'
    )


def _pack(source: Taken) -> dict[str, Any]:
    source.drop('meta_keys')  # ours are those that are used
    return {}


_STEPS: dict[str, Callable[[Taken], dict[str, Any] | None]] = {
    'LoadImageFromFile': _load_image,
    'LoadAnnotations': _load_annotations,
    'Resize': _resize,
    'RandomResize': _resize,
    'RandomChoiceResize': _resize,
    'RandomFlip': _flip,
    'RandomCrop': _crop,
    'FilterAnnotations': _filter,
    'PackDetInputs': _pack,
}


def convert_evaluator(evaluator: Any, path: str, report: Report) -> Any:
    """A ``*_evaluator``: COCO's metric of boxes."""
    if isinstance(evaluator, list | tuple):
        each = enumerate(evaluator)
        return [convert_evaluator(x, f'{path}.{i}', report) for i, x in each]
    source = Taken(evaluator, path, report)
    source.expect('type', 'CocoMetric')
    source.expect('metric', 'bbox', ['bbox'])
    source.drop(*_UNNEEDED)
    ours = dict(type='CocoMetric', ann_file=source.take('ann_file'))
    for key in ('classwise', 'format_only', 'outfile_prefix'):
        if source.values.get(key):
            ours[key] = source.take(key)
    source.end(harmless=True)
    return ours
