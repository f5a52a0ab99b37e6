"""Checkpoints are listed, checked, kept and found."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from freeanchor.engine import CheckpointError
from freeanchor.engine.checkpoint_folder import LAST, MANIFEST, CheckpointFolder


def state(iteration: int, epoch: int = 0) -> dict:
    generator = torch.Generator().manual_seed(iteration)
    weights = dict(weight=torch.randn(1000, generator=generator))
    return dict(meta=dict(iter=iteration, epoch=epoch), state_dict=weights)


@pytest.fixture
def folder(tmp_path) -> CheckpointFolder:
    """Epochs 1 to 3 of ten iterations."""
    folder = CheckpointFolder(tmp_path)
    for epoch in (1, 2, 3):
        folder.write(f'epoch_{epoch}.pth', state(10 * epoch, epoch))
    return folder


def names(folder: CheckpointFolder) -> list[str]:
    return [x.file for x in folder.entries()]


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def flip_one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_newest_is_found_and_noted_by_a_relative_name(folder):
    found = folder.newest_intact()
    assert found.path.name == 'epoch_3.pth'
    assert (found.iter, found.damaged) == (30, ())
    assert (folder.folder / LAST).read_text() == 'epoch_3.pth'


@pytest.mark.parametrize('damage', [cut, empty, flip_one_bit])
@pytest.mark.parametrize('listed', [True, False])
def test_a_damaged_file_is_passed_over_with_a_reason(folder, damage, listed):
    """T3: also where the list is missing."""
    damage(folder.folder / 'epoch_3.pth')
    if not listed:
        (folder.folder / MANIFEST).unlink()
    found = folder.newest_intact()
    assert found.path.name == 'epoch_2.pth'
    assert len(found.damaged) == 1
    assert 'epoch_3.pth' in found.damaged[0]
    assert torch.equal(
        torch.load(found.path, weights_only=True)['state_dict']['weight'],
        state(20)['state_dict']['weight'],
    )


@pytest.mark.parametrize('content', ['', '[{"file": "epoch_3.p', '{"a": 1}', '[1]'])
def test_a_damaged_list_is_done_without(folder, content):
    (folder.folder / MANIFEST).write_text(content)
    assert folder.newest_intact().path.name == 'epoch_3.pth'


def test_where_all_are_damaged_each_is_named(folder):
    for name in names(folder):
        cut(folder.folder / name)
    with pytest.raises(CheckpointError, match=r'epoch_3.*epoch_2.*epoch_1') as error:
        folder.newest_intact()
    assert '--fresh' in str(error.value)


def test_an_empty_folder_has_none(tmp_path):
    assert CheckpointFolder(tmp_path).newest_intact() is None
    assert not CheckpointFolder(tmp_path).has_any()


def test_a_folder_can_be_moved(folder, tmp_path):
    """T3."""
    moved = tmp_path / 'elsewhere'
    moved.mkdir()
    for name in os.listdir(tmp_path):
        if name != 'elsewhere':
            shutil.move(tmp_path / name, moved / name)
    assert CheckpointFolder(moved).newest_intact().path == moved / 'epoch_3.pth'


def test_files_of_another_program_are_found_in_the_order_of_training(tmp_path):
    for name, content in (
        ('epoch_9.pth', state(90, 9)),
        ('epoch_10.pth', state(100, 10)),
        ('iter_95.pth', state(95, 9)),
    ):
        torch.save(content, tmp_path / name)
    (tmp_path / 'notes.pth').touch()
    folder = CheckpointFolder(tmp_path)
    assert names(folder) == ['epoch_10.pth', 'iter_95.pth', 'epoch_9.pth']
    assert folder.newest_intact().path.name == 'epoch_10.pth'


def test_a_file_that_was_not_listed_yet_when_the_process_was_killed_is_found(folder):
    torch.save(state(34, 3), folder.folder / 'iter_34.pth')
    assert folder.newest_intact().path.name == 'iter_34.pth'


def test_the_list_cannot_name_files_elsewhere(folder, tmp_path):
    outside = tmp_path.parent / 'outside.pth'
    torch.save(state(99), outside)
    entries = json.loads((folder.folder / MANIFEST).read_text())
    entries.append({**entries[-1], 'file': f'../{outside.name}', 'iter': 99})
    (folder.folder / MANIFEST).write_text(json.dumps(entries))
    assert folder.newest_intact().path.name == 'epoch_3.pth'
    folder.keep(1)
    assert outside.exists()


@pytest.mark.parametrize('count', [2, 3, 4, 5, 10])
def test_as_many_stay_as_are_asked_for(tmp_path, count):
    folder = CheckpointFolder(tmp_path)
    for epoch in range(1, 13):
        folder.write(f'iter_{10 * epoch - 5}.pth', state(10 * epoch - 5), 'moment')
        folder.keep(count)
        folder.write(f'epoch_{epoch}.pth', state(10 * epoch, epoch))
        folder.keep(count)
    regular = [x for x in names(folder) if x.startswith('epoch')]
    assert regular == [f'epoch_{x}.pth' for x in range(12, 12 - count, -1)]


@pytest.mark.parametrize('count', [0, 1, 2])
def test_the_two_newest_always_stay(folder, count):
    assert folder.keep(count) == ['epoch_1.pth']
    assert names(folder) == ['epoch_3.pth', 'epoch_2.pth']


def test_all_stay_unless_a_number_is_given(folder):
    assert folder.keep(-1) == []
    assert len(names(folder)) == 3


def test_the_best_stays_and_what_was_saved_in_between_goes(folder):
    folder.write('best_ap_epoch_1.pth', state(10, 1), 'best')
    folder.write('best_ap_epoch_2.pth', state(20, 2), 'best')
    folder.write('iter_5.pth', state(5), 'moment')
    gone = folder.keep(-1, best=['best_ap_epoch_2.pth'])
    assert set(gone) == {'best_ap_epoch_1.pth', 'iter_5.pth'}
    assert set(os.listdir(folder.folder)) >= set(names(folder))
    assert not (folder.folder / 'iter_5.pth').exists()


def test_a_disk_that_does_not_give_back_what_was_written_is_noticed(
    folder, monkeypatch
):
    module = 'freeanchor.engine.checkpoint_folder.sha256_of'
    monkeypatch.setattr(module, lambda path: '0' * 64)
    with pytest.raises(OSError, match='does not read back'):
        folder.write('epoch_4.pth', state(40, 4))
    monkeypatch.undo()
    assert (folder.folder / LAST).read_text() == 'epoch_3.pth'
    assert len(json.loads((folder.folder / MANIFEST).read_text())) == 3


def test_later_ones_are_moved_aside_and_not_lost(folder):
    aside = folder.set_aside(10)
    assert names(folder) == ['epoch_1.pth']
    assert sorted(os.listdir(aside)) == ['epoch_2.pth', 'epoch_3.pth']
    assert folder.set_aside(10) is None
    assert (folder.folder / LAST).read_text() == 'epoch_1.pth'


def test_weights_alone_are_no_state_to_go_on_from(folder):
    torch.save(dict(weight=torch.ones(3)), folder.folder / 'epoch_12.pth')
    found = folder.newest_intact()
    assert found.path.name == 'epoch_3.pth'
    assert 'holds weights, not the state of a run' in found.damaged[0]


def test_a_file_that_is_written_again_is_never_taken_for_damaged(folder, monkeypatch):
    # Killed after the rename, before the list has the new checksum.
    module = 'freeanchor.engine.checkpoint_folder.sha256_of'

    def killed(path: Path) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, killed)
    with pytest.raises(KeyboardInterrupt):
        folder.write('epoch_3.pth', state(31, 3))
    monkeypatch.undo()
    found = folder.newest_intact()
    assert (found.path.name, found.iter, found.damaged) == ('epoch_3.pth', 31, ())
