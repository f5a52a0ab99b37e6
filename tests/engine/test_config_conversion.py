"""An MMDetection config becomes ours, or it is said why not."""

from pathlib import Path

import pytest
from mmengine.config import Config

from freeanchor.engine import load_config
from freeanchor.engine.config_conversion import config_text, convert_config
from freeanchor.engine.conversion import build_untrained

HERE = Path(__file__).parent / 'mmdet_configs'
RUNTIME = Config.fromfile(
    Path(__file__).parents[2] / 'configs/_base_/runtime/default.py'
).to_dict()


def converted(path, changes=None):
    cfg = Config.fromfile(HERE / path)
    cfg.merge_from_dict(changes or {})
    return convert_config(cfg.to_dict(), RUNTIME)


@pytest.fixture(scope='module')
def two():
    return converted('two/free_anchor.py')


@pytest.fixture(scope='module')
def three():
    return converted('three/retinanet.py')


@pytest.mark.parametrize('path', ['two/free_anchor.py', 'three/retinanet.py'])
def test_what_is_written_is_a_config_of_ours_that_builds(path, tmp_path):
    cfg, report = converted(path)
    assert report.blocks == []
    text = config_text('Made in a test.', cfg)
    assert max(map(len, text.splitlines())) <= 88
    file = tmp_path / 'net.py'
    file.write_text(text)
    read = load_config(file).to_dict()
    assert read == cfg
    build_untrained(read['model'])


def test_the_detector_of_2x_is_carried_over(two):
    model = two[0]['model']
    assert model['loss'] == dict(
        type='FreeAnchorLoss',
        bag_size=40,
        iou_thr=0.6,
        alpha=0.5,
        gamma=2.0,
        box_weight=0.75,
        beta=0.11,
    )
    assert model['bbox_head']['bbox_coder']['stds'] == [0.1, 0.1, 0.2, 0.2]
    assert model['backbone']['norm_requires_grad'] is False
    assert model['backbone']['init_cfg']['checkpoint'].endswith('resnet50_caffe')
    assert model['neck']['add_extra_convs'] == 'on_input'
    assert model['data_preprocessor'] == dict(
        type='DetDataPreprocessor',
        mean=[103.53, 116.28, 123.675],
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False,
        pad_size_divisor=32,
    )
    assert model['test_cfg']['nms_iou'] == 0.5


def test_the_data_of_2x_is_carried_over(two):
    cfg, _ = two
    training = cfg['train_dataloader']
    assert (training['batch_size'], training['num_workers']) == (4, 1)
    assert training['dataset']['metainfo'] == dict(classes=('apple', 'pear'))
    assert training['dataset']['data_prefix'] == dict(img_path='data/fruit/images/')
    assert training['dataset']['filter_cfg'] == dict(filter_empty_gt=True, min_size=32)
    assert [x['type'] for x in training['dataset']['pipeline']] == [
        'LoadImageFromFile',
        'LoadAnnotations',
        'RandomChoiceResize',
        'RandomFlip',
        'PackDetInputs',
    ]
    testing = cfg['test_dataloader']['dataset']
    assert testing['test_mode']
    assert testing['pipeline'][1] == dict(
        type='Resize', scale=(1333, 800), keep_ratio=True
    )
    assert cfg['test_evaluator']['ann_file'] == 'data/fruit/test.json'
    assert cfg['val_evaluator']['ann_file'] == 'data/fruit/val.json'


def test_the_schedule_of_2x_is_carried_over(two):
    cfg, _ = two
    assert cfg['train_cfg'] == dict(
        type='EpochBasedTrainLoop', max_epochs=12, val_interval=2
    )
    warm, steps = cfg['param_scheduler']
    assert (warm['start_factor'], warm['end']) == (0.001, 500)
    assert steps['milestones'] == [8, 11]
    assert cfg['optim_wrapper'] == dict(
        type='AmpOptimWrapper',
        clip_grad=dict(max_norm=35, norm_type=2),
        optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0001),
    )
    hooks = cfg['default_hooks']
    assert (hooks['logger']['interval'], hooks['checkpoint']['interval']) == (20, 3)
    assert 'custom_hooks' not in cfg


def test_the_objective_of_3x_is_carried_over(three):
    assert three[0]['model']['loss'] == dict(
        type='RetinaLoss',
        pos_iou=0.6,
        neg_iou=0.3,
        alpha=0.3,
        gamma=1.5,
        box_weight=2.0,
        beta=0.1,
        ignore_iof_thr=0.5,
    )
    assert three[0]['model']['test_cfg'] == dict(
        score_thr=0.01, nms_pre=900, nms_iou=0.6, max_per_img=50
    )
    assert three[0]['model']['data_preprocessor']['bucket'] == 1024


def test_mmdetections_defaults_are_written_out(three):
    model = three[0]['model']
    assert model['bbox_head']['bbox_coder']['stds'] == [1.0, 1.0, 1.0, 1.0]
    assert model['backbone']['frozen_stages'] == -1  # ours would be 1
    assert model['bbox_head']['anchor_generator']['scales_per_octave'] == 3


def test_a_run_of_iterations_stays_one(three):
    cfg, report = three
    assert cfg['train_cfg']['max_iters'] == 90000
    assert cfg['default_hooks']['checkpoint']['by_epoch'] is False
    assert cfg['log_processor']['by_epoch'] is False
    assert cfg['train_dataloader']['dataset']['times'] == 3
    assert cfg['custom_hooks'] == [dict(type='EMAHook')]
    assert 'custom_hooks: YOLOXModeSwitchHook is left out' in report.notes
    assert any('--tta' in x for x in report.notes)


def test_boxes_are_not_loaded_behind_a_resize(three):
    pipeline = three[0]['test_dataloader']['dataset']['pipeline']
    assert [x['type'] for x in pipeline] == [
        'LoadImageFromFile',
        'Resize',
        'PackDetInputs',
    ]


@pytest.mark.parametrize(
    ('change', 'value', 'named'),
    [
        ('model.type', 'GFL', "model.type='GFL'"),
        ('model.bbox_head.type', 'RetinaSepBNHead', "'RetinaSepBNHead'"),
        ('model.bbox_head.loss_cls', dict(type='GHMC', bins=30), "type='GHMC'"),
        ('model.bbox_head.loss_bbox', dict(type='GHMR'), "type='GHMR'"),
        ('model.neck.type', 'NASFPN', "type='NASFPN'"),
        ('model.neck', [dict(type='FPN'), dict(type='DyHead')], 'model.neck'),
        ('model.backbone.type', 'RegNet', "type='RegNet'"),
        ('model.backbone.dcn', dict(type='DCN'), 'model.backbone.dcn='),
        ('model.backbone.norm_cfg', dict(type='GN', num_groups=32), "type='GN'"),
        ('model.bbox_head.norm_cfg', dict(type='BN'), 'bbox_head.norm_cfg'),
        ('model.test_cfg.nms.type', 'soft_nms', "type='soft_nms'"),
        ('model.train_cfg.assigner.min_pos_iou', 0.2, 'min_pos_iou=0.2'),
        ('train_dataloader.dataset.dataset.type', 'VOCDataset', "'VOCDataset'"),
        ('train_pipeline_step', dict(type='Mosaic'), "'Mosaic'"),
    ],
)
def test_what_would_be_another_detector_is_named(change, value, named):
    cfg = Config.fromfile(HERE / 'three/retinanet.py').to_dict()
    if change == 'train_pipeline_step':
        cfg['train_dataloader']['dataset']['dataset']['pipeline'].append(value)
    else:
        *path, last = change.split('.')
        inner = cfg
        for key in path:
            inner = inner[key]
        inner[last] = value
    _, report = convert_config(cfg, RUNTIME)
    assert any(named in x for x in report.blocks), report.blocks


def test_a_crop_is_carried_over_where_it_is_of_one_size():
    steps = [
        dict(type='RandomCrop', crop_type='absolute_range', crop_size=(640, 640)),
        dict(type='FilterAnnotations', min_gt_bbox_wh=(0.01, 0.01)),
    ]
    cfg = Config.fromfile(HERE / 'three/retinanet.py').to_dict()
    cfg['train_dataloader']['dataset']['dataset']['pipeline'] = steps
    ours, report = convert_config(cfg, RUNTIME)
    assert ours['train_dataloader']['dataset']['dataset']['pipeline'] == [
        dict(type='RandomCrop', crop_size=(640, 640), allow_negative_crop=False)
    ]
    assert any('FilterAnnotations' in x for x in report.notes)
    steps[0]['crop_size'] = (384, 600)
    _, report = convert_config(cfg, RUNTIME)
    assert any('crop_type' in x for x in report.blocks)


def test_a_resize_that_distorts_is_refused():
    cfg = Config.fromfile(HERE / 'three/retinanet.py').to_dict()
    steps = cfg['train_dataloader']['dataset']['dataset']['pipeline']
    for step in steps:
        step.pop('keep_ratio', None)
    _, report = convert_config(cfg, RUNTIME)
    assert any('keep_ratio' in x for x in report.blocks)


def test_settings_of_2x_that_stand_apart_are_found_or_told():
    changes = {
        'data.train_dataloader': dict(samples_per_gpu=8),
        'data.val.data_root': 'data/fruit',
        'data.val.ann_file': 'annotations/val.json',
        'evaluation.save_best': 'bbox_mAP',
        'checkpoint_config.by_epoch': False,
        'log_config.by_epoch': True,
    }
    cfg, report = converted('two/free_anchor.py', changes)
    assert cfg['train_dataloader']['batch_size'] == 8
    assert cfg['val_evaluator']['ann_file'] == 'data/fruit/annotations/val.json'
    assert cfg['default_hooks']['checkpoint']['by_epoch'] is False
    assert any('save_best' in x for x in report.notes)
    assert any('log_config.by_epoch' in x for x in report.notes)
