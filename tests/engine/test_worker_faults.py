"""A data worker's death is explained in one line."""

import os
import signal
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from freeanchor.engine.worker_faults import (
    WorkerDiedError,
    _control_groups,
    _OnlyInLoader,
    explain_worker_death,
    report_deaths_to_loader,
)

DEATHS = {
    'DataLoader worker (pid(s) 77, 78) exited unexpectedly': ('77, 78', 'memory'),
    'DataLoader worker (pid 77) is killed by signal: Bus error. It is possible that '
    "dataloader's workers are out of shared memory.": ('77', '/dev/shm'),
    'DataLoader worker (pid 77) is killed by signal: Segmentation fault. ': (
        '77',
        'damaged image',
    ),
}


class Deadly(Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        if index == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(1)


@pytest.mark.skipif(sys.platform != 'linux', reason='forks, and reads /proc')
def test_a_killed_worker_is_named_with_memory_and_settings() -> None:
    report_deaths_to_loader()  # else it may be raised outside of the block below
    loader = DataLoader(Deadly(), num_workers=1, multiprocessing_context='fork')
    # Either its death is noticed, or a batch that it has sent cannot be received.
    with pytest.raises((RuntimeError, ConnectionError, EOFError, OSError)) as caught:
        list(loader)
    error = explain_worker_death(caught.value)
    assert isinstance(error, WorkerDiedError)
    text = str(error)
    assert text.startswith(('data worker (pid ', 'a data worker is gone'))
    assert 'MiB are available' in text
    assert 'train_dataloader.num_workers' in text
    assert 'train_dataloader.prefetch_factor' in text
    assert '\n' not in text


@pytest.mark.parametrize('message', DEATHS)
def test_the_likely_cause_follows_the_signal(message: str) -> None:
    pids, cause = DEATHS[message]
    text = str(explain_worker_death(RuntimeError(message)))
    assert f'data worker (pid {pids})' in text
    assert cause in text.partition('Most likely')[2].partition('(')[0]


@pytest.mark.parametrize(
    'error',
    [
        RuntimeError('Caught ValueError in DataLoader worker process 0.'),
        OSError(),
        ConnectionResetError('of a database'),
    ],
)
def test_other_errors_are_not_explained(error: Exception) -> None:
    assert explain_worker_death(error) is None


@pytest.mark.parametrize('version', [1, 2])
def test_the_limit_of_the_group_of_processes_is_told(
    tmp_path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ('memory' if version == 1 else '') / 'job'
    folder.mkdir(parents=True)
    names = {
        1: ('memory.limit_in_bytes', 'memory.usage_in_bytes', 'memory.oom_control'),
        2: ('memory.max', 'memory.current', 'memory.events'),
    }[version]
    for name, text in zip(names, (str(2**30), str(2**29), 'low 0\noom_kill 3\n')):
        (folder / name).write_text(text)
    groups = tmp_path / 'groups'
    groups.write_text('4:memory:/job\n' if version == 1 else '0::/job\n')
    read = Path.read_text
    monkeypatch.setattr(
        Path,
        'read_text',
        lambda path: read(groups if str(path) == '/proc/self/cgroup' else path),
    )
    (line,) = _control_groups(tmp_path)
    assert line == ("this job's limit: 512 of 1024 MiB used, 3 processes killed so far")


def test_torch_may_raise_only_where_a_batch_is_taken():
    """Elsewhere a signal would end a step, or a save, in its middle."""
    calls = []
    handler = _OnlyInLoader(lambda number, frame: calls.append(number))
    handler(17, sys._getframe())
    assert calls == []

    class Numbers(Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            handler(17, sys._getframe())
            return index

    next(iter(DataLoader(Numbers())))
    assert calls == [17]
