"""What torch saved is read as torch reads it, within the bounds of the file."""

import pickle
import zipfile
from typing import Any

import pytest
import torch
from torch import nn

from freeanchor.engine import CheckpointError, read_checkpoint
from tests.attacks import WEIGHTS


class Reduced:
    """Pickles as that call."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> tuple:
        return self.reduced


def rebuilt(*arguments: Any) -> Reduced:
    return Reduced(torch._utils._rebuild_tensor_v2, arguments)


# Offset, size and steps of a tensor in a storage of 4 numbers.
TOO_MUCH = {
    'a tensor larger than its storage': (0, (5,), (1,)),
    'one far larger': (0, (1 << 40,), (1,)),
    'one behind its storage': (3, (2,), (1,)),
    'one before its storage': (-1, (2,), (1,)),
    'steps backwards': (3, (2,), (-1,)),
    'one repeated for ever': (0, (1 << 40,), (0,)),
    'no size': (0, None, (1,)),
}


@pytest.mark.filterwarnings('ignore:TypedStorage')
@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('name', TOO_MUCH)
def test_a_tensor_takes_no_more_memory_than_the_file(tmp_path, name, zipped):
    path = tmp_path / 'a.pth'
    tensor = rebuilt(torch.ones(4).storage(), *TOO_MUCH[name], False, {})
    checkpoint = dict(x=tensor, state_dict=WEIGHTS)
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r'a\.pth is damaged'):
        read_checkpoint(path)


def test_bytes_take_no_more_memory_than_the_file(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(x=Reduced(bytearray, (1 << 40,)), state_dict=WEIGHTS), path)
    with pytest.raises(CheckpointError, match=r'a\.pth is damaged'):
        read_checkpoint(path)


def test_a_file_of_nothing_but_lists_is_refused(tmp_path):
    path, start = tmp_path / 'a.pth', [0x1950A86A20F9469CFC6C, 1001]
    parts = [pickle.dumps(x, 2) for x in [*start, dict(little_endian=True)]]
    path.write_bytes(b''.join([*parts, b'\x80\x02](', b']' * 90_000, b'e.']))
    with pytest.raises(CheckpointError, match='more memory than a file of its size'):
        read_checkpoint(path)


def test_many_small_weights_with_their_optimizer_are_no_swollen_file(tmp_path):
    path, count = tmp_path / 'a.pth', 2000
    weights = {f'layer{i}.weight': torch.ones(1) for i in range(count)}
    momenta = {i: dict(momentum_buffer=torch.ones(1)) for i in range(count)}
    content = dict(state_dict=weights, optimizer=dict(state=momenta, param_groups=[]))
    torch.save(content, path, _use_new_zipfile_serialization=False)
    assert len(read_checkpoint(path)['optimizer']['state']) == count


def test_lists_that_repeat_themselves_without_end_are_refused(tmp_path):
    path, value = tmp_path / 'a.pth', [1]
    for _ in range(60):
        value = [value, value]
    torch.save(dict(x=value, state_dict=WEIGHTS), path)
    with pytest.raises(CheckpointError, match='more than the file could hold'):
        read_checkpoint(path)


def test_a_list_within_itself_is_refused(tmp_path):
    path, value = tmp_path / 'a.pth', []
    value.append(value)
    torch.save(dict(x=value, state_dict=WEIGHTS), path)
    with pytest.raises(CheckpointError, match='holds itself'):
        read_checkpoint(path)


def test_a_compressed_archive_is_refused(tmp_path):
    path, bomb = tmp_path / 'a.pth', tmp_path / 'bomb.pth'
    torch.save(dict(state_dict=dict(x=torch.zeros(1 << 20))), path)
    with (
        zipfile.ZipFile(path) as sound,
        zipfile.ZipFile(bomb, 'w', zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in sound.namelist():
            packed.writestr(name, sound.read(name))
    with pytest.raises(CheckpointError, match='compressed'):
        read_checkpoint(bomb)


def test_the_header_of_safetensors_is_bounded(tmp_path):
    pytest.importorskip('safetensors')
    path = tmp_path / 'a.safetensors'
    path.write_bytes((1 << 62).to_bytes(8, 'little') + b'{}')
    with pytest.raises(CheckpointError, match='its header would have'):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ('dtype', 'zipped'),
    [
        (torch.bfloat16, True),
        (torch.bfloat16, False),
        (torch.bool, True),
        (torch.bool, False),
        (torch.uint16, True),
    ],
)
def test_tensors_of_every_kind_are_read_as_torch_reads_them(tmp_path, dtype, zipped):
    path, grid = tmp_path / 'a.pth', torch.arange(12).reshape(3, 4).to(dtype)
    tensors = dict(
        grid=grid,
        turned=grid.t(),
        part=grid[1:, ::2],
        empty=grid[:0],
        one=grid[0, 0],
        parameter=nn.Parameter(torch.ones(2)),
        repeated=torch.ones(1).expand(9),
    )
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(path)
    for name, tensor in torch.load(path, weights_only=True).items():
        assert torch.equal(read[name], tensor), name
        assert read[name].dtype == tensor.dtype
        assert read[name].stride() == tensor.stride()
    grid_again, turned = read['grid'], read['turned']
    assert grid_again.untyped_storage().data_ptr() == (
        turned.untyped_storage().data_ptr()
    )
