"""Files as MMDetection 2.x and 3.x wrote them: they load as they are."""

import io
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.runner import load_checkpoint

from freeanchor.engine import read_checkpoint
from freeanchor.engine.conversion import ConversionError, build_untrained, convert
from freeanchor.engine.conversion.settings import settings_of

CONFIGS = Path(__file__).parents[2] / 'configs'
SMALL = {
    'model.backbone.depth': 18,
    'model.neck.in_channels': [64, 128, 256, 512],
    'model.neck.out_channels': 32,
    'model.bbox_head.in_channels': 32,
    'model.bbox_head.feat_channels': 32,
    'model.bbox_head.num_classes': 3,
}
CFG_2X = """model = dict(
    type='RetinaNet',
    pretrained='torchvision://resnet50',
    backbone=dict(type='ResNet', depth=50, style='pytorch'),
    bbox_head=dict(
        type='FreeAnchorRetinaHead',
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder',
            target_means=[0.0, 0.0, 0.0, 0.0],
            target_stds=[0.1, 0.1, 0.2, 0.2])))
work_dir = './work_dirs/x'
gpu_ids = range(0, 1)
"""
CFG_3X = CFG_2X.replace('gpu_ids = range(0, 1)', "default_scope = 'mmdet'")
META_2X = dict(
    env_info='sys.platform: linux\nPython: 3.7.3',
    config=CFG_2X,
    seed=None,
    exp_name='retinanet_free_anchor_r50_fpn_1x_coco.py',
    mmdet_version='2.0.0+c4e5ba5',
    mmcv_version='0.5.9',
    CLASSES=('person', 'bicycle', 'car'),
    time='Thu Jan 30 02:33:35 2020',
    hook_msgs={},
    epoch=12,
    iter=87960,
)


def small(name='free_anchor_r50_fpn_1x'):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    cfg.merge_from_dict(SMALL)
    return build_untrained(cfg.model.to_dict()).eval()


def on_cpu(state):
    """A state dict as training leaves it: ordered, with versions of its modules."""
    found = OrderedDict((k, x.detach().clone()) for k, x in state.items())
    found._metadata = state._metadata
    return found


def write_2x(path, state, zipped=False):
    content = dict(meta=META_2X, state_dict=on_cpu(state))
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def write_3x(path, state):
    history = HistoryBuffer(
        np.array([0.5, 0.25], dtype=np.float64), np.array([1, 1]), 1000000
    )
    meta = dict(
        cfg=CFG_3X,
        seed=np.int64(7),
        experiment_name='freeanchor_r50_fpn_1x_coco',
        mmengine_version='0.10.7',
        dataset_meta=ConfigDict(classes=('a', 'b', 'c'), palette=[(1, 2, 3)]),
        epoch=12,
        iter=100,
        hook_msgs=dict(),
    )
    hub = dict(
        log_scalars=OrderedDict({'train/loss': history}),
        runtime_info=OrderedDict(iter=99, loss=np.float32(0.5)),
        resumed_keys=OrderedDict(iter=True),
    )
    schedules = [dict(type='MultiStepLR', milestones=[8, 11], last_step=12)]
    torch.save(
        dict(
            meta=meta,
            state_dict=on_cpu(state),
            message_hub=hub,
            param_schedulers=schedules,
        ),
        path,
    )
    return path


WRITERS = {
    '2.0': write_2x,
    '2.x of torch 1.6 on': lambda *a: write_2x(*a, zipped=True),
    '3.x': write_3x,
}


@pytest.mark.parametrize('recipe', ['free_anchor_r50_fpn_1x', 'retinanet_r50_fpn_1x'])
@pytest.mark.parametrize('version', WRITERS)
@torch.no_grad()
def test_a_file_loads_strictly_and_gives_the_same_outputs(version, recipe, tmp_path):
    torch.manual_seed(0)
    model = small(recipe)
    path = WRITERS[version](tmp_path / 'net.pth', model.state_dict())
    torch.manual_seed(1)
    loaded = small(recipe)
    load_checkpoint(loaded, str(path), 'cpu', strict=True)
    images = torch.randn(1, 3, 64, 64)
    for mine, theirs in zip(loaded(images).logits, model(images).logits):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize('version', WRITERS)
def test_the_version_and_the_scale_of_the_boxes_are_known(version, tmp_path):
    path = WRITERS[version](tmp_path / 'net.pth', small().state_dict())
    converted = convert(read_checkpoint(path))
    assert converted.source.name == ('mmdet3' if version == '3.x' else 'mmdet2')
    assert converted.unmatched == ()
    assert converted.settings.stds == (0.1, 0.1, 0.2, 0.2)
    assert converted.settings.kind == 'free_anchor'
    assert converted.settings.style == 'pytorch'


def test_the_config_text_of_2x_is_read_as_data(tmp_path):
    checkpoint = read_checkpoint(write_2x(tmp_path / 'net.pth', small().state_dict()))
    assert 'config' not in checkpoint['meta']  # which resuming would run
    assert settings_of(checkpoint).stds == (0.1, 0.1, 0.2, 0.2)


@pytest.mark.parametrize('model', ["__import__('os').abort()", 'dict(', '3', 'dict()'])
def test_a_config_text_that_is_no_data_tells_nothing(model):
    settings = settings_of(dict(config_text=f'model = {model}'))
    assert settings.kind is None


def test_a_head_of_atss_gets_our_names():
    ours = small('atss_r50_fpn_1x').state_dict()
    theirs = {}
    for name, value in ours.items():
        for own, other in (
            ('retina_cls', 'atss_cls'),
            ('retina_reg', 'atss_reg'),
            ('retina_quality', 'atss_centerness'),
        ):
            name = name.replace(own, other)
        theirs[name] = value
    converted = convert(dict(state_dict=theirs))
    assert converted.source.name == 'mmdet3'
    assert converted.weights.keys() == ours.keys()
    assert converted.settings.stds == (0.1, 0.1, 0.2, 0.2)


def test_a_file_of_1x_is_refused():
    meta = dict(META_2X, mmdet_version='1.0.0+1234')
    with pytest.raises(ConversionError, match=r'MMDetection 1\.x'):
        convert(dict(meta=meta, state_dict=small().state_dict()))


def test_a_file_of_3x_is_not_taken_for_2x(tmp_path):
    path = write_3x(tmp_path / 'net.pth', small().state_dict())
    with pytest.raises(ConversionError, match='it looks like mmdet3'):
        convert(read_checkpoint(path), 'mmdet2')


class ConfigDict1x(dict):
    """MMCV 1.x pickled its config dicts with themselves as their state."""

    def __getstate__(self):
        return self

    def __setstate__(self, state):
        self.update(state)


ConfigDict1x.__module__, ConfigDict1x.__qualname__ = 'mmcv.utils.config', 'ConfigDict'


def test_config_dicts_of_mmcv_1x_are_dicts(tmp_path, monkeypatch):
    import sys
    import types

    module = types.ModuleType('mmcv.utils.config')
    module.ConfigDict = ConfigDict1x
    ConfigDict1x.__name__ = 'ConfigDict'
    monkeypatch.setitem(sys.modules, 'mmcv.utils', types.ModuleType('mmcv.utils'))
    monkeypatch.setitem(sys.modules, 'mmcv.utils.config', module)
    file = io.BytesIO()
    pickle.Pickler(file, 2).dump(ConfigDict1x(a=1))
    assert b'mmcv.utils.config\nConfigDict' in file.getvalue()
    path = tmp_path / 'net.pth'
    meta = dict(META_2X, extra=ConfigDict1x(a=1, b=[2]))
    torch.save(dict(meta=meta, state_dict=dict(small().state_dict())), path)
    extra = read_checkpoint(path)['meta']['extra']
    assert type(extra) is dict
    assert extra == dict(a=1, b=[2])


def test_the_scale_of_the_boxes_is_found_in_files_written_one_after_another():
    """As 2.x at first put a config and its bases into a checkpoint, with paths."""
    base = 'bbox_head=dict(bbox_coder=dict(target_stds=[1.0, 1.0, 1.0, 1.0]))'
    own = 'bbox_head=dict(bbox_coder=dict(target_stds=[0.1, 0.1, 0.2, 0.2]))'
    text = f'configs/base.py\nmodel = dict({base})\n\nconfigs/x.py\nmodel = dict({own})'
    assert settings_of(dict(config_text=text)).stds == (0.1, 0.1, 0.2, 0.2)
