"""A config follows a data set, and what is written says the same."""

import ast
from pathlib import Path

import pytest
from mmengine.config import Config

from freeanchor.engine import ConfigError, load_config
from freeanchor.engine.own_data import (
    OwnSplit,
    changes_for,
    long_warm_up,
    merge_changes,
    relative_base,
    with_options,
)
from freeanchor.engine.own_data_text import as_config, write_config

CONFIGS = Path(__file__).parents[2] / 'configs'
CLASSES = ('cup', "a tree's")
SPLITS = dict(
    train=OwnSplit('work/annotations/train.json', 'mine/train', 30),
    val=OwnSplit('work/annotations/val.json', 'mine/val', 4),
)
HOSTILE = (
    'y"""\nimport os\nos.abort()\n"""',
    "y'''\nimport os\nos.abort()",
    '\'"]}\nimport os\nos.abort()\n#',
    'back\\slash\\',
    '{{fileDirname}} {{ fileBasename }}{{{fileExtname}}}',
    '{{$HOME:}} {{$NOBODY_SET_THIS:x}}',
    '{{_base_.model}} {_base_}',
    'tab\t\r\x00 \u2028\udcff',
)
NAMES = (
    'free_anchor_r50_fpn_1x',
    'free_anchor_r18_fpn_shapes',
    'free_anchor_r18_fpn_bccd',
    'auto_assign_r50_fpn_1x',
    'free_anchor_r50_fpn_1x_official',
)


OPTIONS = (
    'optim_wrapper.optimizer.lr=0.002',
    'train_cfg.val_interval=3',
    'param_scheduler.0.end=96',
    'train_dataloader.batch_size=4',
    "optim_wrapper.paramwise_cfg={'custom_keys': {'backbone.layer1': {'lr_mult': 0}}}",
    "model.loss={'_delete_': True, 'type': 'FreeAnchorLoss', 'bag_size': 7}",
    'model.backbone.init_cfg=none',
    'val_evaluator.ann_file=outdone.json',
    'work_dir={{fileDirname}}/x',
)


def changed(name, splits=SPLITS, options=()):
    cfg = load_config(CONFIGS / f'{name}.py', options)
    changes = changes_for(cfg, CLASSES, splits)
    written = with_options(cfg, options, changes)
    merge_changes(cfg, changes)
    return cfg, written


@pytest.mark.parametrize('options', [(), OPTIONS], ids=['plain', 'options'])
@pytest.mark.parametrize('name', NAMES)
def test_the_written_config_says_the_same(name, options, tmp_path):
    cfg, changes = changed(name, options=options)
    base = relative_base(str(CONFIGS / f'{name}.py'), tmp_path)
    text = as_config(changes, CLASSES, base, 'Mine.')
    path = write_config(tmp_path / 'own_data.py', changes, text, base)
    assert max(map(len, text.splitlines())) < 100
    assert plain(load_config(path)) == plain(cfg)


def plain(cfg: Config):
    """Lists for tuples, as a dumped config has them."""

    def of(value):
        if isinstance(value, dict):
            return {k: of(x) for k, x in value.items()}
        return [of(x) for x in value] if isinstance(value, list | tuple) else value

    return of(cfg.to_dict())


def test_a_list_with_a_value_of_the_command_line_is_written_whole():
    name = 'free_anchor_r50_fpn_1x'
    cfg, written = changed(name, options=['param_scheduler.0.end=96'])
    assert written['param_scheduler'] == cfg.param_scheduler
    assert cfg.param_scheduler[0]['end'] == 96
    assert len(cfg.param_scheduler) > 1


def test_the_written_config_of_a_json_base_is_json(tmp_path):
    cfg = load_config(CONFIGS / 'free_anchor_r50_fpn_1x.py')
    Config(plain(cfg)).dump(str(tmp_path / 'base.json'))
    base = load_config(tmp_path / 'base.json')
    changes = changes_for(base, HOSTILE, SPLITS)
    path = write_config(tmp_path / 'own_data.py', changes, '', 'base.json')
    assert path.suffix == '.json'
    merge_changes(base, changes)
    assert plain(load_config(path)) == plain(base)


@pytest.mark.parametrize('name', NAMES)
def test_all_that_depends_on_the_data_follows(name):
    cfg, _ = changed(name)
    assert cfg.model.bbox_head.num_classes == 2
    assert cfg.model.loss.get('num_classes', 2) == 2
    for loader, split in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        dataset = cfg[f'{loader}_dataloader'].dataset
        assert dataset.type == 'CocoDataset'
        assert dataset.ann_file == SPLITS[split].ann_file
        assert dataset.data_prefix.img_path == SPLITS[split].folder
        assert not dataset.data_root
        assert tuple(dataset.metainfo.classes) == CLASSES
        assert dataset.pipeline
    assert cfg.val_evaluator.ann_file == SPLITS['val'].ann_file
    assert cfg.test_evaluator.ann_file == SPLITS['val'].ann_file
    assert cfg.auto_scale_lr.enable


def test_a_split_to_test_on_is_taken():
    test = OwnSplit('test.json', 'mine/test', 5)
    cfg, _ = changed('free_anchor_r50_fpn_1x', {**SPLITS, 'test': test})
    assert cfg.test_dataloader.dataset.ann_file == 'test.json'
    assert cfg.test_evaluator.ann_file == 'test.json'
    assert cfg.val_evaluator.ann_file == SPLITS['val'].ann_file


def test_a_data_set_within_another_is_reached():
    cfg = load_config(CONFIGS / 'free_anchor_r50_fpn_1x.py')
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=3, dataset=inner)
    merge_changes(cfg, changes_for(cfg, CLASSES, SPLITS))
    assert cfg.train_dataloader.dataset.times == 3
    assert cfg.train_dataloader.dataset.dataset.ann_file == SPLITS['train'].ann_file


def test_a_config_that_joins_data_sets_is_refused():
    cfg = load_config(CONFIGS / 'free_anchor_r50_fpn_1x.py')
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[inner, inner])
    with pytest.raises(ConfigError, match=r'train_dataloader\.dataset joins several'):
        changes_for(cfg, CLASSES, SPLITS)


def test_every_evaluator_of_a_list_follows():
    cfg = load_config(CONFIGS / 'free_anchor_r50_fpn_1x.py')
    one = cfg.val_evaluator
    cfg.val_evaluator = [one, dict(type='NMSRecall')]
    merge_changes(cfg, changes_for(cfg, CLASSES, SPLITS))
    assert cfg.val_evaluator[0].ann_file == SPLITS['val'].ann_file
    assert cfg.val_evaluator[1] == dict(type='NMSRecall')


def test_a_warm_up_longer_than_a_quarter_is_told_with_a_shorter_one():
    cfg = load_config(CONFIGS / 'free_anchor_r50_fpn_1x.py')  # 500 steps, 12 epochs
    text = long_warm_up(cfg, 160, 1)  # of 80 steps
    assert 'takes 500 of the 960 steps' in text
    assert 'param_scheduler.0.end=96' in text
    assert not long_warm_up(cfg, 2000, 1)
    assert long_warm_up(cfg, 2000, 8)


@pytest.mark.parametrize('text', HOSTILE)
def test_names_of_folders_and_classes_are_nothing_but_text(text, tmp_path):
    classes = ('cup', text)
    splits = {x: OwnSplit(f'{text}/{x}.json', text, 4) for x in ('train', 'val')}
    cfg = load_config(CONFIGS / 'free_anchor_r50_fpn_1x.py')
    changes = changes_for(cfg, classes, splits)
    base = relative_base(cfg.filename, tmp_path)
    written = as_config(changes, classes, base, f'A config on the data set {text}.')
    path = write_config(tmp_path / 'own_data.py', changes, written, base)
    assert ast.get_docstring(ast.parse(path.read_text()), clean=False).endswith(
        f'on the data set {text}.'
    )
    merge_changes(cfg, changes)
    assert plain(load_config(path)) == plain(cfg)
