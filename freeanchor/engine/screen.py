"""What a person sees while training: one line an interval, a bar while testing."""

import logging
import sys
from collections.abc import Sequence
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import LoggerHook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.utils import ProgressBar

from freeanchor.registry import HOOKS

# Messages of MMEngine that are for the log file: hundreds of lines at the start,
# and lines that say nothing new.
_FILE_ONLY = (
    '\n' + '-' * 60 + '\nSystem environment',
    'Config:\n',
    'Hooks will be executed',
    'Distributed training is not used',
    'Exp name: ',
    'Checkpoints will be saved to',
    # Said of MMEngine's own calls.
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    'The prefix is not set in metric class DumpResults',
    # One of each parameter, where a config has paramwise_cfg.
    'paramwise_options -- ',
    # Not so: our checkpoints hold gradients that are being accumulated.
    'Resumed iteration number is not divisible by',
)
_FILE_ONLY_ENDS = ('is skipped since its requires_grad=False',)


def make_readable(logger: MMLogger) -> MMLogger:
    """Shorten what ``logger`` writes to the screen; its file keeps everything."""
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setFormatter(ScreenFormatter(datefmt='%H:%M:%S'))
            handler.addFilter(_is_for_the_screen)
    return logger


def _is_for_the_screen(record: logging.LogRecord) -> bool:
    message = str(record.msg)
    return not message.startswith(_FILE_ONLY) and not message.endswith(_FILE_ONLY_ENDS)


class ScreenFormatter(logging.Formatter):
    """The time and the message; the level only where it is not information.

    A message that begins with a new line is a block of text, without the time.
    """

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.levelno > logging.INFO:
            message = f'{record.levelname}: {message}'
        elif message.startswith('\n'):
            return message
        return f'{self.formatTime(record, self.datefmt)}  {message}'


@HOOKS.register_module()
class ProgressLoggerHook(LoggerHook):
    """MMEngine's ``LoggerHook``, with a progress bar of evaluation on a terminal.

    Where the output is no terminal but a file, evaluation writes a line every
    ``interval`` batches. Arguments are those of ``LoggerHook``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._bar: ProgressBar | None = None

    def before_val_epoch(self, runner: Runner) -> None:
        self._start(len(runner.val_dataloader))

    def before_test_epoch(self, runner: Runner) -> None:
        self._start(len(runner.test_dataloader))

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence | None = None,
    ) -> None:
        if self._bar is None:
            super().after_val_iter(runner, batch_idx, data_batch, outputs)
        else:
            self._advance()

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence | None = None,
    ) -> None:
        if self._bar is None:
            super().after_test_iter(runner, batch_idx, data_batch, outputs)
        else:
            self._advance()

    def _start(self, num_batches: int) -> None:
        if sys.stdout.isatty() and is_main_process():
            self._bar = ProgressBar(num_batches, file=sys.stdout)

    def _advance(self) -> None:
        assert self._bar is not None
        self._bar.update()
        if self._bar.completed == self._bar.task_num:
            self._bar.file.write('\n')
            self._bar = None
