"""No checkpoint file runs code, and what is wrong with one is said with its name."""

import os
import random
import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, load_checkpoint
from torch import nn

from freeanchor.engine import CheckpointError, read_checkpoint, weights_of
from tests.attacks import FORMATS, WEIGHTS, attacks, write_attack


def names() -> list[str]:
    return list(attacks(Path('marker')))


@pytest.mark.parametrize(
    ('name', 'format'),
    [
        (name, format)
        for name in names()
        for format in FORMATS
        # Protocol 0 has no arrays of objects.
        if (name, format) != ('object array', 'pickle of protocol 0')
    ],
)
def test_an_attack_is_refused_with_the_name_of_the_file(name, format, tmp_path):
    marker, path = tmp_path / 'marker', tmp_path / 'evil.pth'
    write_attack(path, marker, name, format)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(nn.Linear(2, 2), str(path))
    text = str(caught.value)
    assert str(path) in text
    assert '\n' not in text
    assert not marker.exists()
    if format in ('zip', 'older', 'bare pickle'):
        assert 'was not loaded' in text
        assert '--trust-checkpoint' in text


@pytest.mark.parametrize('format', ['zip', 'older', 'bare pickle'])
def test_the_name_that_is_forbidden_is_said(format, tmp_path):
    path = write_attack(tmp_path / 'a.pth', tmp_path / 'x', 'os.system', format)
    with pytest.raises(CheckpointError, match=r'posix\.system|nt\.system'):
        read_checkpoint(path)


def test_the_switch_that_makes_torch_unsafe_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    marker, path = tmp_path / 'marker', tmp_path / 'evil.pth'
    torch.save(dict(x=attacks(marker)['os.system'], state_dict=WEIGHTS), path)
    with pytest.raises(CheckpointError):
        CheckpointLoader.load_checkpoint(str(path))
    assert not marker.exists()


def test_text_that_resuming_would_run_as_python_is_dropped(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(meta=dict(config='x = 1', epoch=3), state_dict=WEIGHTS), path)
    assert read_checkpoint(path)['meta'] == dict(epoch=3)


def test_what_others_allow_torch_to_load_is_not_allowed_here(tmp_path):
    marker, path = tmp_path / 'marker', tmp_path / 'evil.pth'
    torch.save(dict(x=attacks(marker)['os.system'], state_dict=WEIGHTS), path)
    with (
        torch.serialization.safe_globals([os.system]),
        pytest.raises(CheckpointError, match=r'evil\.pth was not loaded'),
    ):
        read_checkpoint(path)
    assert not marker.exists()


def test_what_mmengine_itself_saved_is_read(tmp_path):
    history = HistoryBuffer([0.5, 0.25], [1, 2], 9)
    meta = dict(
        best=np.float64(0.125),
        seen=np.int64(3),
        name=np.str_('Zelle'),
        grid=np.asfortranarray(np.arange(6, dtype='>i4').reshape(2, 3)),
    )
    hub = dict(log_scalars=OrderedDict(loss=history))
    path = tmp_path / 'a.pth'
    torch.save(dict(meta=meta, message_hub=hub, state_dict=WEIGHTS), path)

    checkpoint = read_checkpoint(path)
    read = checkpoint['meta']
    assert (read['best'], read['seen'], read['name']) == (0.125, 3, 'Zelle')
    np.testing.assert_array_equal(read['grid'], np.arange(6).reshape(2, 3))
    again = checkpoint['message_hub']['log_scalars']['loss']
    assert isinstance(again, HistoryBuffer)
    assert (again.max_length, again.mean()) == (9, 0.25)
    np.testing.assert_array_equal(again.data[0], [0.5, 0.25])


def test_numpy_1_had_other_names_for_the_same(tmp_path):
    path = tmp_path / 'a.pth'
    meta = dict(best=np.float64(0.5), grid=np.arange(3))
    checkpoint = dict(meta=meta, state_dict=WEIGHTS)
    torch.save(checkpoint, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes().replace(b'cnumpy._core.', b'cnumpy.core.')
    assert b'cnumpy.core.multiarray' in content
    path.write_bytes(content)
    read = read_checkpoint(path)['meta']
    assert (read['best'], read['grid'].tolist()) == (0.5, [0, 1, 2])


@pytest.mark.parametrize('end', ['.pth', '.safetensors'])
def test_safetensors_hold_weights_as_well(tmp_path, end):
    path = tmp_path / f'a{end}'
    if end == '.pth':
        torch.save(WEIGHTS, path)
    else:
        pytest.importorskip('safetensors.torch').save_file(WEIGHTS, path)
    weights = weights_of(read_checkpoint(path))
    assert torch.equal(weights['weight'], WEIGHTS['weight'])


def test_without_safetensors_the_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'safetensors', None)
    path = tmp_path / 'a.safetensors'
    path.write_bytes(b'x')
    with pytest.raises(CheckpointError, match='pip install safetensors'):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ('name', 'content', 'reason'),
    [
        ('a.pth', b'', 'is empty'),
        ('a.pth', b'<!DOCTYPE html><html>404</html>', 'is a text file'),
        ('a.pth', b'version https://git-lfs.github.com/spec/v1\n', 'is a text file'),
        ('a.pth', b'\x00' * 100, 'is damaged or no checkpoint'),
        ('a.pth', b'hello', 'is damaged or no checkpoint'),
        ('a.safetensors', b'\xff' * 40, 'is damaged or cut off'),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf'a\.\w+ {reason}'):
        read_checkpoint(path)


@pytest.mark.parametrize('share', [0.02, 0.5, 0.99])
@pytest.mark.parametrize('zipped', [True, False])
def test_a_file_that_was_cut_off_is_named(tmp_path, share, zipped):
    path = tmp_path / 'a.pth'
    weights = dict(weight=torch.randn(50, 50))
    torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r'a\.pth is damaged'):
        read_checkpoint(path)


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@pytest.mark.parametrize('zipped', [True, False])
def test_a_flipped_bit_is_either_harmless_or_named(tmp_path, zipped):
    path, chance = tmp_path / 'a.pth', random.Random(0)
    checkpoint = dict(meta=dict(epoch=1), state_dict=WEIGHTS)
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    sound = path.read_bytes()
    refused = 0
    for _ in range(200):
        content = bytearray(sound)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        try:
            read_checkpoint(path)
        except CheckpointError as error:
            assert str(path) in str(error)  # noqa: PT017
            refused += 1
    assert refused


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (torch.ones(2), 'holds a Tensor, not a dict'),
        (dict(epoch=3, optimizer={}), 'holds no weights; its keys are: epoch, opt'),
        (dict(state_dict={}), 'holds no weights'),
    ],
)
def test_a_file_without_weights_is_named(tmp_path, content, reason):
    path = tmp_path / 'a.pth'
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=rf'a\.pth {reason}'):
        read_checkpoint(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no checkpoint file .*gone\.pth'):
        read_checkpoint(tmp_path / 'gone.pth')
    with pytest.raises(CheckpointError, match='is a folder'):
        read_checkpoint(tmp_path)


def test_weights_under_model_are_found(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(model=WEIGHTS, epoch=2), path)
    assert set(weights_of(read_checkpoint(path))) == set(WEIGHTS)


@pytest.mark.parametrize('scheme', ['s3', 'petrel', 'pavi', 'mmcls'])
def test_schemes_that_would_load_elsewhere_are_refused(scheme):
    with pytest.raises(CheckpointError, match=f'{scheme}:// is not supported'):
        CheckpointLoader.load_checkpoint(f'{scheme}://bucket/a.pth')


def test_loading_warns_of_nothing(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(WEIGHTS, path)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        read_checkpoint(path)
