"""A run that hangs ends and says where (T14, T22)."""

import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.faults.runs import finish, is_gone, kill, start, toy_config, wait_for

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')

LIMIT = dict(watchdog=dict(min_seconds=3, slow_seconds=20))


def test_a_worker_that_waits_for_a_file_ends_the_run(tmp_path: Path) -> None:
    """T14: with the file's path and the stacks in the text, and without orphans."""
    config = toy_config(
        tmp_path,
        default_hooks=LIMIT,
        train_dataloader=dict(num_workers=1, persistent_workers=True),
    )
    process = start(config)
    log = wait_for(lambda: list((tmp_path / 'work').glob('*/*.log')))[0]
    wait_for(lambda: 'Epoch(train) [1][ 5/10]' in log.read_text())
    for path in (tmp_path / 'data' / 'train').iterdir():
        path.unlink()
        os.mkfifo(path)
    code, text = finish(process)
    assert code == 1, text[-3000:]
    for place in (text, log.read_text()):
        report = place[place.index('error: nothing has happened for') :]
        assert f'waits for {tmp_path}/data/train/' in report
        assert 'run_epoch' in report  # of the stack
        assert 'waiting for a batch' in report
    worker = re.search(r'\(pid (\d+)\):\n  .*\n  waits for', report)
    assert worker is not None
    wait_for(lambda: is_gone(int(worker[1])))


def test_a_rank_that_is_stopped_is_named(tmp_path: Path) -> None:
    """T22: the other rank ends after its limit and says which does not answer."""
    config = toy_config(
        tmp_path,
        default_hooks=dict(**LIMIT, checkpoint=dict(interval=100)),
        train_cfg=dict(max_epochs=200, val_interval=200),
    )
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    ranks = [
        start(
            config, '--launcher', 'pytorch', RANK=str(rank), LOCAL_RANK=str(rank),
            WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=port,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        wait_for(lambda: re.search(r'\[ *2\]\[5/5\]', ranks[0].output.read_text()))
        os.kill(ranks[1].pid, signal.SIGSTOP)
        code, text = finish(ranks[0])
    finally:
        kill(ranks[1])
    assert code == 1, text[-3000:]
    assert 'rank 1: DOES NOT ANSWER' in text
    assert 'rank 0: alive' in text
