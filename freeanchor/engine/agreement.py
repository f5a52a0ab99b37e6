"""Let all processes see at the same place that one of them wants something."""

from typing import Any

import torch
from torch import Tensor, distributed


class ProcessLostError(RuntimeError):
    """Another process of the same training has ended."""

    exit_code = 1


class Agreement:
    """Whether any process says yes, which all learn at the same call.

    The answer to a call comes with the next one. Until then it travels over gloo
    beside the training: no GPU is waited for. All processes make the same calls.
    A single process has its answer at once.
    """

    def __init__(self) -> None:
        self._group: Any = None
        if distributed.is_available() and distributed.is_initialized():
            self._group = distributed.new_group(backend='gloo')
        self._flag: Tensor | None = None
        self._work: distributed.Work | None = None

    def any(self, mine: bool) -> bool:
        """Whether any process said yes, this time or (of several) the time before.

        Raises:
            ProcessLostError: Another process is gone.
        """
        if self._group is None:
            return mine
        if self._result():
            return True
        self._start(mine)
        return False

    def any_now(self, mine: bool) -> bool:
        """Whether any process says yes at this very call; waits for all of them."""
        if self._group is None:
            return mine
        before = self._result()
        self._start(mine)
        return self._result() or before

    def least(self, number: int) -> int:
        """The least of all processes' numbers; waits for all of them."""
        if self._group is None:
            return number
        value = torch.tensor([number])
        distributed.all_reduce(value, distributed.ReduceOp.MIN, group=self._group)
        return int(value)

    def _start(self, mine: bool) -> None:
        self._flag = torch.tensor([int(mine)])
        try:
            self._work = distributed.all_reduce(
                self._flag, distributed.ReduceOp.MAX, group=self._group, async_op=True
            )
        except RuntimeError as error:
            raise ProcessLostError(lost_process()) from error

    def _result(self) -> bool:
        if self._work is None or self._flag is None:
            return False
        try:
            self._work.wait()
        except RuntimeError as error:
            raise ProcessLostError(lost_process()) from error
        self._work = None
        return bool(self._flag)


def lost_process() -> str:
    """What to say where another process is gone."""
    return (
        'another process of this training has ended: its own error, or the '
        "launcher's last line, says why."
    )
