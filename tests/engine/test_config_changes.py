import copy

import pytest

from freeanchor.engine import ConfigError, load_config
from freeanchor.engine.config_changes import MISSING, check_config_changes, compare

BASE = 'configs/free_anchor_r50_fpn_1x.py'


@pytest.fixture(scope='module')
def cfg(request):
    return load_config(request.config.rootpath / BASE)


@pytest.fixture
def changed(cfg):
    return copy.deepcopy(cfg)


def kinds(old, new, *sizes: int) -> dict:
    return {x.key: x.kind for x in compare(old.to_dict(), new, *sizes)}


def test_a_config_that_is_the_same_has_no_changes(cfg, changed):
    meta = dict(cfg=cfg.pretty_text, world_size=2)
    assert check_config_changes(meta, changed, accept=False, world_size=2) == []


def test_where_things_are_and_what_is_written_is_harmless(cfg, changed):
    changed.work_dir = '/elsewhere'
    changed.train_dataloader.num_workers = 7
    changed.train_dataloader.dataset.data_root = '/data/coco'
    changed.train_dataloader.dataset.ann_file = '/data/instances_train2017.json'
    changed.default_hooks.logger.interval = 1
    changed.train_cfg.val_interval = 2
    changed.model.backbone.init_cfg = None
    found = kinds(cfg, changed)
    assert len(found) >= 6
    assert set(found.values()) == {'harmless'}


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('optim_wrapper.optimizer.lr', 0.02),
        ('optim_wrapper.accumulative_counts', 2),
        ('param_scheduler', [dict(type='MultiStepLR', by_epoch=True, milestones=[9])]),
        ('train_dataloader.batch_size', 4),
        ('train_dataloader.dataset.ann_file', 'annotations/other.json'),
        ('train_dataloader.dataset.metainfo', dict(classes=('cat',))),
        ('model.bbox_head.num_classes', 3),
        ('randomness.seed', 1),
        ('default_hooks.ema', dict(type='EMAHook')),
    ],
)
def test_what_makes_another_training_is_serious(cfg, changed, key, value):
    changed.merge_from_dict({key: value})
    if isinstance(value, list):
        changed.param_scheduler = value
    found = kinds(cfg, changed)
    assert 'serious' in found.values()
    assert any(x.startswith(key) for x in found)


def test_the_error_lists_old_and_new_values_and_the_flag_in_one_line(cfg, changed):
    changed.optim_wrapper.optimizer.lr = 0.02
    changed.param_scheduler[1].milestones = [16, 22]
    with pytest.raises(ConfigError) as info:
        check_config_changes(dict(cfg=cfg.pretty_text), changed, accept=False)
    text = str(info.value)
    assert 'optim_wrapper.optimizer.lr: 0.01 -> 0.02' in text
    assert 'param_scheduler.1.milestones: [8, 11] -> [16, 22]' in text
    assert '--accept-config-changes' in text
    assert '\n' not in text


def test_accepted_changes_are_returned(cfg, changed):
    changed.optim_wrapper.optimizer.lr = 0.02
    (change,) = check_config_changes(dict(cfg=cfg.pretty_text), changed, accept=True)
    assert (change.old, change.new) == (0.01, 0.02)


def test_a_key_that_is_new_or_gone_is_a_change(cfg, changed):
    changed.optim_wrapper.clip_grad = None
    changed.optim_wrapper.accumulative_counts = 2
    found = {x.key: x for x in compare(cfg.to_dict(), changed)}
    assert found['optim_wrapper.clip_grad.max_norm'].new is MISSING
    assert found['optim_wrapper.accumulative_counts'].old is MISSING


def test_as_many_images_a_step_on_more_processes_go_on(cfg, changed):
    changed.train_dataloader.batch_size = 1
    assert kinds(cfg, changed, 1, 2) == {'train_dataloader.batch_size': 'inexact'}
    assert kinds(cfg, changed, 1, 1) == {'train_dataloader.batch_size': 'serious'}


def test_another_number_of_processes_alone_is_no_error(cfg, changed):
    meta = dict(cfg=cfg.pretty_text, world_size=8)
    (change,) = check_config_changes(meta, changed, accept=False, world_size=4)
    assert (change.old, change.new, change.kind) == (8, 4, 'inexact')


def test_another_number_of_training_images_is_an_error(cfg, changed):
    meta = dict(cfg=cfg.pretty_text, num_images=100)
    with pytest.raises(ConfigError, match='training images: 100 -> 90'):
        check_config_changes(meta, changed, accept=False, num_images=90)


def test_longer_training_is_harmless_unless_the_schedule_depends_on_it(cfg, changed):
    changed.train_cfg.max_epochs = 24
    assert kinds(cfg, changed) == {'train_cfg.max_epochs': 'harmless'}
    schedule = [dict(type='CosineAnnealingLR', by_epoch=True)]
    cosine = copy.deepcopy(cfg)
    cosine.param_scheduler = changed.param_scheduler = schedule
    assert kinds(cosine, changed) == {'train_cfg.max_epochs': 'serious'}


def test_a_checkpoint_without_a_config_is_not_compared(cfg):
    assert check_config_changes({}, cfg, accept=False) == []


def test_a_config_that_is_no_data_is_neither_run_nor_compared(cfg, tmp_path):
    marker = tmp_path / 'ran'
    text = f'__import__("pathlib").Path({str(marker)!r}).touch()'
    assert check_config_changes(dict(cfg=text), cfg, accept=False) == []
    assert not marker.exists()
