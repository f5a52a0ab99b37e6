"""The detector of an MMDetection 3.x config, in our terms."""

from typing import Any

from .heads import HEADS, head_and_loss
from .report import Report, Taken

_DETECTORS = ('RetinaNet', 'ATSS', 'PAA', 'SingleStageDetector')
_BACKBONES = ('ResNet', 'ResNeXt')
_STAGES = 4


def convert_model(model: dict, report: Report) -> dict[str, Any]:
    """Our ``model`` from MMDetection's; what it cannot be goes to ``report``."""
    source = Taken(model, 'model', report)
    source.expect('type', *_DETECTORS)
    kind = (model.get('bbox_head') or {}).get('type')
    if kind not in HEADS:
        report.block(f'model.bbox_head.type={kind!r}: known are {", ".join(HEADS)}')
        return {}
    votes = model['bbox_head'].get('score_voting', True)
    head, loss = head_and_loss(source.inner('bbox_head'), source.inner('train_cfg'))
    test_cfg = _test_cfg(source.inner('test_cfg'), kind)
    if not votes:
        test_cfg.pop('voting_sigma', None)
    ours = dict(
        type='SingleStageDetector',
        data_preprocessor=_preprocessor(source.inner('data_preprocessor')),
        backbone=_backbone(source.inner('backbone')),
        neck=_neck(source.inner('neck')),
        bbox_head=head,
        loss=loss,
        test_cfg=test_cfg,
    )
    init_cfg = source.take('init_cfg')
    if init_cfg:
        ours['init_cfg'] = init_cfg
    source.end()
    return ours


def _preprocessor(source: Taken) -> dict[str, Any]:
    source.expect('type', 'DetDataPreprocessor')
    source.expect('pad_mask', False, True)  # masks are not read
    source.drop('mask_pad_value')
    ours = dict(
        type='DetDataPreprocessor',
        mean=source.take('mean'),
        std=source.take('std'),
        bgr_to_rgb=source.take('bgr_to_rgb', False),
        pad_size_divisor=source.take('pad_size_divisor', 1),
    )
    if 'pad_value' in source:
        ours['pad_value'] = source.take('pad_value')
    for augment in source.take('batch_augments') or []:
        size = augment.get('size', (0, 0))
        if augment.get('type') != 'BatchFixedSizePad' or size[0] != size[1]:
            source.report.block(f'{source.path}.batch_augments: {augment}')
        else:
            ours['bucket'] = size[0]
    source.end()
    return ours


def _backbone(source: Taken) -> dict[str, Any]:
    kind = source.take('type')
    if kind not in _BACKBONES:
        source.report.block(f'{source.path}.type={kind!r}: known are ResNet, ResNeXt')
        return {}
    source.expect('num_stages', _STAGES)
    source.expect('in_channels', 3)
    norm = source.inner('norm_cfg', dict(type='BN'))
    norm.expect('type', 'BN')
    ours = dict(
        type=kind,
        depth=source.take('depth'),
        out_indices=tuple(source.take('out_indices', range(_STAGES))),
        frozen_stages=source.take('frozen_stages', -1),
        norm_eval=source.take('norm_eval', True),
        norm_requires_grad=norm.take('requires_grad', True),
        style=source.take('style', 'pytorch'),
    )
    norm.end()
    if kind == 'ResNeXt':
        ours.update(groups=source.take('groups', 1))
        ours.update(base_width=source.take('base_width', 4))
    init_cfg = source.take('init_cfg')
    if isinstance(init_cfg, dict) and init_cfg.get('type') == 'Pretrained':
        ours['init_cfg'] = init_cfg
    elif init_cfg:
        source.report.note(f'{source.path}.init_cfg: ours is as in torchvision')
    source.end()
    return ours


def _neck(source: Taken) -> dict[str, Any]:
    source.expect('type', 'FPN')
    source.expect('end_level', -1)
    source.expect('no_norm_on_lateral', False)
    source.expect('upsample_cfg', dict(mode='nearest'))
    if source.take('init_cfg'):
        source.report.note(f'{source.path}.init_cfg: ours is Xavier, uniform')
    ours = dict(
        type='FPN',
        in_channels=source.take('in_channels'),
        out_channels=source.take('out_channels'),
        num_outs=source.take('num_outs'),
        start_level=source.take('start_level', 0),
    )
    extra = source.take('add_extra_convs', False)
    inputs = len(ours['in_channels'] or ()) - ours['start_level']
    if extra is False and ours['num_outs'] and ours['num_outs'] > inputs:
        source.report.block(f'{source.path}: levels made by pooling')
    ours['add_extra_convs'] = 'on_input' if isinstance(extra, bool) else extra
    ours['relu_before_extra_convs'] = source.take('relu_before_extra_convs', False)
    source.end()
    return ours


def _test_cfg(source: Taken, kind: str) -> dict[str, Any]:
    source.expect('min_bbox_size', 0, -1)
    nms = source.inner('nms', dict(type='nms', iou_threshold=0.5))
    nms.expect('type', 'nms')
    nms.drop('split_thr', 'max_num')
    ours = dict(
        score_thr=source.take('score_thr', 0.05),
        nms_pre=source.take('nms_pre', 1000),
        nms_iou=nms.take('iou_threshold', nms.take('iou_thr', 0.5)),
        max_per_img=source.take('max_per_img', 100),
        **HEADS[kind].scoring,
    )
    nms.end()
    source.end()
    return ours
