import os

import pytest

from freeanchor.engine import ConfigError, exit_codes
from freeanchor.engine.command_line import checked_checkpoint, run_tool
from freeanchor.engine.signals import StopRun


class OwnError(ValueError):
    exit_code = 3


def raising(error: BaseException):
    def job() -> None:
        raise error

    return job


@pytest.fixture
def codes(tmp_path, monkeypatch):
    """The folder of a launcher that wants to know how its processes end."""
    monkeypatch.setenv(exit_codes.FOLDER_VARIABLE, str(tmp_path))
    for name in ('RANK', 'SLURM_PROCID', 'TORCHELASTIC_RESTART_COUNT'):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ('error', 'code'),
    [
        (ConfigError('wrong key'), 2),
        (FileNotFoundError(2, 'No such file', 'a.json'), 2),
        (PermissionError(13, 'Permission denied', '/data/work'), 2),
        (OwnError('a box of image 3'), 3),
        (StopRun('SIGTERM: stopped after iteration 5'), 75),
    ],
)
def test_what_was_foreseen_is_one_line_and_a_code(error, code, capsys):
    assert run_tool(raising(error)) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert str(error) in line


def test_what_nobody_foresaw_keeps_its_traceback(codes):
    with pytest.raises(ZeroDivisionError):
        run_tool(raising(ZeroDivisionError()))
    assert (codes / '0').read_text() == '1'


def test_ctrl_c_where_nothing_is_to_be_saved_is_130():
    assert run_tool(raising(KeyboardInterrupt())) == 130


def test_the_loss_of_another_process_is_one_line(capsys):
    error = RuntimeError('[tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1')
    assert run_tool(raising(error)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert 'another process of this training has ended' in line


def test_each_process_leaves_its_code_for_the_launcher(codes, monkeypatch):
    assert run_tool(lambda: None) == 0
    monkeypatch.setenv('RANK', '3')
    monkeypatch.setattr('freeanchor.engine.command_line._WAIT', 0)
    assert run_tool(raising(OwnError('x'))) == 3
    assert {x: (codes / x).read_text() for x in os.listdir(codes)} == {
        '0': '0',
        '3': '3',
    }


@pytest.mark.parametrize(('of_the_first', 'lines'), [('2', 0), ('1', 1), (None, 1)])
def test_what_the_first_process_has_said_the_others_do_not(
    of_the_first, lines, codes, monkeypatch, capsys
):
    if of_the_first is not None:
        (codes / '0').write_text(of_the_first)
    monkeypatch.setenv('RANK', '3')
    monkeypatch.setattr('freeanchor.engine.command_line._WAIT', 0)
    assert run_tool(raising(ConfigError('wrong key'))) == 2
    assert len(capsys.readouterr().err.splitlines()) == lines


@pytest.mark.parametrize(
    ('before', 'code'),
    [
        ({'0': 1, '1': 2}, 2),  # the user's error comes again
        ({'0': 75, '1': 75}, 75),  # all have stopped on request
        ({'0': 75}, None),  # the other one was killed
        ({'0': 1, '1': 1}, None),
    ],
)
def test_a_start_that_is_no_use_ends_at_once(before, code, codes, monkeypatch):
    for rank, value in before.items():
        (codes / rank).write_text(str(value))
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '2')
    assert exit_codes.final_code() is None  # it is the first start
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '1')
    assert exit_codes.final_code() == code


def test_a_checkpoint_may_be_a_file_or_a_url(tmp_path):
    (tmp_path / 'a.pth').touch()
    for name in (str(tmp_path / 'a.pth'), 'https://example.org/a.pth'):
        assert checked_checkpoint(name) == name
    with pytest.raises(ConfigError, match=r'no checkpoint .*b\.pth'):
        checked_checkpoint(str(tmp_path / 'b.pth'))
