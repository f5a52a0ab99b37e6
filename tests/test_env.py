"""``python -m freeanchor.env``: enough for a bug report, and not more."""

import importlib.metadata
import os
import subprocess
import sys

import pytest
import torch

from freeanchor import env


def facts(lines: str) -> dict[str, str]:
    pairs = (line.strip().split(None, 1) for line in lines.splitlines() if line[:1])
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def test_the_command_prints_versions_machine_and_devices() -> None:
    done = subprocess.run(
        [sys.executable, '-m', 'freeanchor.env'],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, 'CUDA_VISIBLE_DEVICES': ''},
    )
    found = facts(done.stdout)
    assert found['version'] == env.__version__
    assert found['torch'] == importlib.metadata.version('torch')
    assert 'GPUs' in found
    assert done.stderr == ''


def test_a_secret_in_the_environment_is_not_printed(monkeypatch) -> None:
    for name in ('AWS_SECRET_ACCESS_KEY', 'WANDB_API_KEY', 'SOMETHING', *env.HIDDEN):
        monkeypatch.setenv(name, 'a-word-that-nobody-else-has')
    text = env.report()
    assert 'a-word-that-nobody-else-has' not in text
    assert 'WANDB' not in text
    assert dict(env.variables())['MASTER_ADDR'] == '(set)'


def test_variables_of_the_launcher_are_printed(monkeypatch) -> None:
    monkeypatch.setenv('WORLD_SIZE', '16')
    monkeypatch.delenv('RANK', raising=False)
    found = dict(env.variables())
    assert found['WORLD_SIZE'] == '16'
    assert 'RANK' not in found


def test_no_variable_that_is_shown_could_hold_a_secret() -> None:
    words = ('KEY', 'TOKEN', 'SECRET', 'PASSWORD', 'ADDR', 'HOST', 'USER', 'PROXY')
    assert not [x for x in env.SHOWN if any(word in x.upper() for word in words)]


def test_a_broken_torch_is_said_not_raised(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, 'torch', None)
    ((name, text),) = env.devices()
    assert name == 'torch'
    assert text.startswith('cannot be imported: ModuleNotFoundError')


def test_without_a_checkout_there_is_no_commit(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(env, '__file__', str(tmp_path / 'freeanchor' / 'env.py'))
    assert [name for name, _ in env.own()] == ['version']


@pytest.mark.parametrize('size', [1, 3])
def test_every_gpu_is_named(monkeypatch, size) -> None:
    class About:
        name, total_memory, major, minor = 'A100', 80 * 2**30, 8, 0

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: size)
    monkeypatch.setattr(torch.cuda, 'get_device_properties', lambda _: About)
    found = dict(env.devices())
    assert [found[f'GPU {i}'] for i in range(size)] == ['A100, 80 GiB, sm_80'] * size
