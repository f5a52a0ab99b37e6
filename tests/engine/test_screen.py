import io
import logging
import re
from types import SimpleNamespace

import pytest
from mmengine.logging import MMLogger

from freeanchor.engine import ProgressLoggerHook
from freeanchor.engine.screen import make_readable


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def logger(tmp_path):
    logger = MMLogger(name=tmp_path.name, log_file=str(tmp_path / 'log'))
    return make_readable(logger)


def screen_of(logger, message, level=logging.INFO):
    stream = io.StringIO()
    handler = next(x for x in logger.handlers if type(x) is logging.StreamHandler)
    handler.setStream(stream)
    logger.log(level, message)
    return stream.getvalue()


def test_a_line_is_the_time_and_the_message(logger):
    assert re.fullmatch(r'\d\d:\d\d:\d\d  hello\n', screen_of(logger, 'hello'))


def test_a_warning_says_that_it_is_one(logger):
    assert 'WARNING: careful' in screen_of(logger, 'careful', logging.WARNING)


def test_a_block_of_text_has_no_time(logger):
    assert screen_of(logger, '\nTraining\n  device') == '\nTraining\n  device\n'


def test_what_is_long_and_dull_is_in_the_file_alone(logger, tmp_path):
    assert screen_of(logger, 'Config:\nmodel = dict()') == ''
    assert 'model = dict()' in (tmp_path / 'log').read_text()


def test_a_terminal_gets_a_bar_of_evaluation(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr('sys.stdout', terminal)
    hook = ProgressLoggerHook(interval=1)
    runner = SimpleNamespace(val_dataloader=[0, 1, 2])
    hook.before_val_epoch(runner)
    for i in range(3):
        hook.after_val_iter(runner, i)
    assert '3/3' in terminal.getvalue()
    assert terminal.getvalue().endswith('\n')
