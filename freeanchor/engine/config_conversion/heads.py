"""Heads of MMDetection 3.x, split into a head and an objective."""

from collections.abc import Callable
from typing import Any, NamedTuple

from .report import Taken

_NINE = dict(
    type='AnchorGenerator',
    octave_base_scale=4,
    scales_per_octave=3,
    ratios=[0.5, 1.0, 2.0],
    strides=[8, 16, 32, 64, 128],
)
_CODER = dict(type='DeltaXYWHBBoxCoder', target_stds=(1.0, 1.0, 1.0, 1.0))
_FOCAL = dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25)


def head_and_loss(head: Taken, train: Taken) -> tuple[dict[str, Any], dict[str, Any]]:
    """Our ``bbox_head`` and ``loss`` from theirs and its ``train_cfg``.

    What cannot be goes to the report of both.
    """
    kind = HEADS[head.take('type')]
    train.drop('debug', 'sampler')
    train.expect('allowed_border', -1)
    train.expect('pos_weight', -1)
    loss = kind.loss(head, train)
    ours = dict(
        type=kind.name,
        num_classes=head.take('num_classes'),
        in_channels=head.take('in_channels'),
        feat_channels=head.take('feat_channels', 256),
        stacked_convs=head.take('stacked_convs', 4),
        prior_prob=_prior(head),
        anchor_generator=_anchors(head.inner('anchor_generator', _NINE)),
        bbox_coder=_coder(head.inner('bbox_coder', _CODER)),
    )
    norm = head.inner('norm_cfg', dict(type='GN', num_groups=32))
    if kind.name == 'QualityHead':
        norm.expect('type', 'GN')
        ours['num_groups'] = norm.take('num_groups', 32)
        norm.drop('requires_grad')
        head.expect('pred_kernel_size', 3)
        norm.end()
    elif 'num_groups' not in norm:
        head.report.block(f'{norm.path}: a head of this kind has no such norms')
    head.expect('conv_cfg', None)
    head.end()
    train.end()
    return ours, loss


def _prior(head: Taken) -> float:
    init = head.take('init_cfg')
    override = (init or {}).get('override') if isinstance(init, dict) else None
    if isinstance(override, dict) and 'bias_prob' in override:
        return override['bias_prob']
    if init:
        head.report.note(f'{head.path}.init_cfg: ours is normal with std 0.01')
    return 0.01


def _anchors(source: Taken) -> dict[str, Any]:
    source.expect('type', 'AnchorGenerator')
    source.expect('scale_major', True)
    source.expect('use_box_type', False)
    ours = dict(
        type='AnchorGenerator',
        strides=source.take('strides'),
        ratios=source.take('ratios'),
    )
    for key in ('octave_base_scale', 'scales_per_octave', 'scales', 'center_offset'):
        if source.values.get(key) is not None:
            ours[key] = source.take(key)
    source.end()
    return ours


def _coder(source: Taken) -> dict[str, Any]:
    source.expect('type', 'DeltaXYWHBBoxCoder')
    source.expect('clip_border', True)
    source.expect('use_box_type', False)
    ours = dict(type='DeltaBoxCoder', stds=list(source.take('target_stds')))
    means = source.take('target_means', (0.0,) * 4)
    if any(means):
        ours['means'] = list(means)
    source.end()
    return ours


def _focal(source: Taken) -> dict[str, float]:
    source.expect('type', 'FocalLoss')
    source.expect('use_sigmoid', True)
    source.expect('loss_weight', 1.0, 1)
    found = dict(alpha=source.take('alpha', 0.25), gamma=source.take('gamma', 2.0))
    source.end()
    return found


def _smooth_l1(source: Taken) -> dict[str, float]:
    """L1 is smooth L1 that is nowhere quadratic."""
    kind = source.take('type')
    if kind not in ('L1Loss', 'SmoothL1Loss'):
        source.report.block(f'{source.path}.type={kind!r}: known are L1 and smooth L1')
    beta = source.take('beta', 1.0) if kind == 'SmoothL1Loss' else 0.0
    found = dict(box_weight=source.take('loss_weight', 1.0), beta=beta)
    source.end()
    return found


def _giou_weight(source: Taken) -> float:
    source.expect('type', 'GIoULoss')
    weight = source.take('loss_weight', 1.0)
    source.end()
    return weight


def _quality_weight(head: Taken) -> float:
    source = head.inner(
        'loss_centerness', dict(type='CrossEntropyLoss', use_sigmoid=True)
    )
    source.expect('type', 'CrossEntropyLoss')
    source.expect('use_sigmoid', True)
    weight = source.take('loss_weight', 1.0)
    source.end()
    return weight


def _ignore(assigner: Taken) -> dict[str, float]:
    share = assigner.take('ignore_iof_thr', -1)
    return dict(ignore_iof_thr=share) if share > 0 else {}


def _retina(head: Taken, train: Taken) -> dict[str, Any]:
    assigner = train.inner('assigner')
    assigner.expect('type', 'MaxIoUAssigner')
    assigner.expect('min_pos_iou', 0, 0.0)
    assigner.expect('gt_max_assign_all', True)
    head.expect('reg_decoded_bbox', False)
    loss = dict(
        type='RetinaLoss',
        pos_iou=assigner.take('pos_iou_thr', 0.5),
        neg_iou=assigner.take('neg_iou_thr', 0.4),
        **_focal(head.inner('loss_cls', _FOCAL)),
        **_smooth_l1(head.inner('loss_bbox', dict(type='L1Loss'))),
        **_ignore(assigner),
    )
    assigner.end()
    return loss


def _free_anchor(head: Taken, train: Taken) -> dict[str, Any]:
    train.drop('assigner')  # of its base config; bags take its place
    head.drop('loss_cls')
    return dict(
        type='FreeAnchorLoss',
        bag_size=head.take('pre_anchor_topk', 50),
        iou_thr=head.take('bbox_thr', 0.6),
        alpha=head.take('alpha', 0.5),
        gamma=head.take('gamma', 2.0),
        **_smooth_l1(head.inner('loss_bbox', dict(type='L1Loss', loss_weight=0.75))),
    )


def _atss(head: Taken, train: Taken) -> dict[str, Any]:
    assigner = train.inner('assigner', dict(type='ATSSAssigner'))
    assigner.expect('type', 'ATSSAssigner')
    head.expect('reg_decoded_bbox', True)
    loss = dict(
        type='ATSSLoss',
        topk=assigner.take('topk', 9),
        **_focal(head.inner('loss_cls', _FOCAL)),
        box_weight=_giou_weight(head.inner('loss_bbox')),
        quality_weight=_quality_weight(head),
        **_ignore(assigner),
    )
    assigner.end()
    return loss


def _paa(head: Taken, train: Taken) -> dict[str, Any]:
    assigner = train.inner('assigner')
    assigner.expect('type', 'MaxIoUAssigner')
    assigner.expect('min_pos_iou', 0, 0.0)
    candidate_iou = assigner.take('pos_iou_thr', 0.1)
    assigner.expect('neg_iou_thr', candidate_iou)
    head.expect('reg_decoded_bbox', True)
    head.expect('covariance_type', 'diag')
    head.drop('score_voting')  # of test_cfg here
    loss = dict(
        type='PAALoss',
        candidate_iou=candidate_iou,
        topk=head.take('topk', 9),
        **_focal(head.inner('loss_cls', _FOCAL)),
        box_weight=_giou_weight(head.inner('loss_bbox')),
        quality_weight=_quality_weight(head),
        **_ignore(assigner),
    )
    assigner.end()
    return loss


class _Head(NamedTuple):
    name: str
    loss: Callable[[Taken, Taken], dict[str, Any]]
    scoring: dict[str, Any]  # how class score and quality make one


_PRODUCT = dict(rank_powers=[1.0, 0.0], score_powers=[1.0, 1.0])
_MEAN = dict(rank_powers=[0.5, 0.5], score_powers=[0.5, 0.5], voting_sigma=0.025)

HEADS = {
    'RetinaHead': _Head('RetinaHead', _retina, {}),
    'FreeAnchorRetinaHead': _Head('RetinaHead', _free_anchor, {}),
    'ATSSHead': _Head('QualityHead', _atss, _PRODUCT),
    'PAAHead': _Head('QualityHead', _paa, _MEAN),
}
