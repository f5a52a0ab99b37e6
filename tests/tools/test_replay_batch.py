"""A file of a bad batch is read as data, and refused in a line where it is none."""

import sys
from pathlib import Path

import pytest
import torch

from tests.attacks import attacks
from tools.analysis import replay_batch

USER_ERROR = 2  # exit code


@pytest.fixture
def refused(monkeypatch, capsys):
    """Replays a file that is to be refused; the line that says why."""

    def call(path) -> str:
        monkeypatch.setattr(sys, 'argv', ['replay_batch.py', str(path)])
        assert replay_batch.main() == USER_ERROR
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith('error: ')
        assert str(path.parent) in line
        return line

    return call


def saved(**replaced) -> dict:
    return {
        **dict(iteration=3, rank=0, losses=dict(loss=float('nan')), random={}),
        **dict(batch=dict(inputs=[], data_samples=[]), weights='weights.pth'),
        **dict(model=dict(type='RetinaNet'), optim_wrapper='OptimWrapper'),
        **replaced,
    }


@pytest.mark.parametrize('content', [b'', b'<html>', b'PK\3\4', b'\x80\2}q\0.', b'cut'])
def test_a_damaged_file_is_refused(tmp_path, refused, content):
    path = tmp_path / 'iter_3_rank_0.pth'
    if content == b'cut':
        torch.save(saved(), path)
        content = path.read_bytes()[:-200]
    path.write_bytes(content)
    assert 'is no saved batch, or damaged' in refused(path)


@pytest.mark.parametrize('name', attacks(Path()))
def test_a_file_that_would_run_code_is_refused_and_does_not(tmp_path, refused, name):
    marker = tmp_path / 'was_run'
    path = tmp_path / 'iter_3_rank_0.pth'
    torch.save(saved(batch=attacks(marker)[name]), path)
    refused(path)
    assert not marker.exists()


UNFIT = [
    ([1, 2], 'list'),
    ({'state_dict': {}}, 'iteration'),
    (saved(weights='../weights.pth'), 'weights'),
    (saved(weights=7), 'weights'),
    (saved(model=None), 'has no model'),
    (saved(model=dict(type='os.system', command='true')), 'os.system'),
    (saved(model=dict(type='Unheard')), 'Unheard'),
]


@pytest.mark.parametrize(('content', 'word'), UNFIT)
def test_a_file_of_another_content_is_refused(tmp_path, refused, content, word):
    torch.save(content, tmp_path / 'batch.pth')
    assert word in refused(tmp_path / 'batch.pth')


def test_a_missing_file_is_named(tmp_path, refused):
    assert 'there is no file' in refused(tmp_path / 'absent.pth')
