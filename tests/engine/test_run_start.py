import os
from types import SimpleNamespace

import pytest
from mmengine.config import Config

from freeanchor.engine import ConfigError
from freeanchor.engine.checkpoint_folder import CheckpointFolder
from freeanchor.engine.run_start import has_log, set_start


@pytest.fixture(autouse=True)
def _first_start(monkeypatch):
    for name in ('TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT'):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def empty(tmp_path):
    return Config(dict(work_dir=str(tmp_path), resume=False, load_from='weights.pth'))


@pytest.fixture
def used(empty):
    CheckpointFolder(empty.work_dir).write(
        'epoch_1.pth', dict(meta=dict(iter=5, epoch=1))
    )
    return empty


def begin(cfg, resume=None, fresh=False, is_first=True) -> SimpleNamespace:
    set_start(cfg, resume, fresh, is_first)
    return SimpleNamespace(resume=cfg.resume, load_from=cfg.load_from)


def test_an_empty_folder_is_begun_in(empty):
    assert vars(begin(empty)) == dict(resume=False, load_from='weights.pth')


def test_a_used_folder_needs_one_of_two_flags_and_is_left_alone(used):
    before = {x: os.stat(f'{used.work_dir}/{x}') for x in os.listdir(used.work_dir)}
    with pytest.raises(ConfigError) as info:
        begin(used)
    assert '--resume' in str(info.value)
    assert '--fresh' in str(info.value)
    after = {x: os.stat(f'{used.work_dir}/{x}') for x in os.listdir(used.work_dir)}
    assert after == before


def test_a_folder_with_a_log_of_training_alone_is_used(empty, tmp_path):
    logs = tmp_path / '20300101_000000' / 'vis_data'
    logs.mkdir(parents=True)
    (logs / 'scalars.json').write_text('{"coco/bbox_mAP": 0.4}')  # of a test
    assert not has_log(tmp_path)
    (logs / 'scalars.json').write_text('{"lr": 0.01, "loss": 1.5, "step": 50}')
    with pytest.raises(ConfigError, match='--fresh'):
        begin(empty)


def test_resume_takes_the_newest_of_the_folder_whatever_the_config_loads(used):
    assert vars(begin(used, resume='auto')) == dict(resume=True, load_from=None)


def test_resume_in_an_empty_folder_begins_and_says_so(empty, capsys):
    assert vars(begin(empty, resume='auto')) == dict(
        resume=False, load_from='weights.pth'
    )
    assert 'Nothing to resume' in capsys.readouterr().out


def test_resume_from_a_file_needs_the_file(used):
    path = f'{used.work_dir}/epoch_1.pth'
    assert vars(begin(used, resume=path)) == dict(resume=True, load_from=path)
    with pytest.raises(ConfigError, match=r'no checkpoint nowhere\.pth'):
        begin(used, resume='nowhere.pth')


def test_fresh_moves_the_earlier_run_aside(used, tmp_path, capsys):
    content = (tmp_path / 'epoch_1.pth').read_bytes()
    assert not begin(used, fresh=True).resume
    (moved,) = tmp_path.glob('old_*/epoch_1.pth')
    assert moved.read_bytes() == content
    assert not CheckpointFolder(tmp_path).has_any()
    assert str(moved.parent) in capsys.readouterr().out


def test_only_the_first_process_touches_the_folder(used, tmp_path):
    begin(used, fresh=True, is_first=False)
    assert (tmp_path / 'epoch_1.pth').exists()


@pytest.mark.parametrize('name', ['TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT'])
def test_a_process_that_is_started_again_goes_on(used, monkeypatch, name):
    monkeypatch.setenv(name, '1')
    for flags in (dict(), dict(fresh=True), dict(resume='first.pth')):
        assert vars(begin(used, **flags)) == dict(resume=True, load_from=None)


def test_a_process_that_died_before_it_saved_begins_again(empty, monkeypatch):
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '1')
    assert vars(begin(empty)) == dict(resume=False, load_from='weights.pth')
