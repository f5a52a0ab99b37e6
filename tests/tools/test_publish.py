"""What is published is the weights, under a name that proves them."""

import hashlib
import json

import pytest
import torch

from freeanchor.engine import CheckpointError, ConfigError, read_checkpoint
from freeanchor.engine.conversion.settings import settings_of
from tools.checkpoints.publish import publish

WEIGHTS = dict(
    weight=torch.randn(3, 4).t(), half=torch.ones(2).half(), count=torch.tensor(7)
)


@pytest.fixture
def trained(tmp_path):
    path = tmp_path / 'epoch_3.pth'
    meta = dict(cfg='x = 1', epoch=3, dataset_meta=dict(classes=('a', 'b')), time='now')
    state = dict(meta=meta, state_dict=WEIGHTS, optimizer=dict(lr=1), message_hub={})
    torch.save(state, path)
    return path


@pytest.mark.parametrize('ending', ['', '.safetensors', '.pth'])
def test_it_loads_back_equal_and_without_the_optimizer(trained, tmp_path, ending):
    if ending != '.pth':
        pytest.importorskip('safetensors')
    path = publish(trained, tmp_path / f'net{ending}')
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.name == f'net-{digest[:8]}{ending or ".safetensors"}'
    read = read_checkpoint(path)
    assert set(read) == {'meta', 'state_dict'}
    assert set(read['meta']) == {'cfg', 'epoch', 'dataset_meta'}
    for name, tensor in WEIGHTS.items():
        assert torch.equal(read['state_dict'][name], tensor)
        assert read['state_dict'][name].dtype == tensor.dtype
    assert sorted(x.name for x in tmp_path.iterdir()) == sorted(
        [trained.name, path.name]
    )


def test_metadata_of_safetensors_are_texts(trained, tmp_path):
    pytest.importorskip('safetensors')
    meta = read_checkpoint(publish(trained, tmp_path / 'net'))['meta']
    assert json.loads(meta['dataset_meta']) == dict(classes=['a', 'b'])
    assert (meta['cfg'], meta['epoch']) == ('x = 1', '3')


def test_a_changed_file_is_refused_by_its_name(trained, tmp_path):
    path = publish(trained, tmp_path / 'net.pth')
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match='not the file that its name says'):
        read_checkpoint(path)


@pytest.mark.parametrize('out', ['net.onnx', 'no/such/net.pth'])
def test_a_place_where_nothing_can_be_is_refused(trained, tmp_path, out):
    with pytest.raises(ConfigError, match='in a folder that exists'):
        publish(trained, tmp_path / out)


@pytest.mark.parametrize('ending', ['.safetensors', '.pth'])
@pytest.mark.parametrize('known', ['box_stds', 'config_text'])
def test_the_scale_of_the_boxes_goes_with_the_weights(tmp_path, ending, known):
    if ending != '.pth':
        pytest.importorskip('safetensors')
    stds = (0.1, 0.1, 0.2, 0.2)
    meta = dict(box_stds=list(stds)) if known == 'box_stds' else {}
    state = dict(meta=meta, state_dict=WEIGHTS)
    coder = f'bbox_coder=dict(target_stds={list(stds)})'
    state['config_text'] = f'model = dict(bbox_head=dict({coder}))'
    torch.save(state, tmp_path / 'net.pth')
    path = publish(tmp_path / 'net.pth', tmp_path / f'out{ending}')
    assert settings_of(read_checkpoint(path)).stds == stds
