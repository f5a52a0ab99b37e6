import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from multiprocessing import get_context

import pytest

from freeanchor.engine import ConfigError
from freeanchor.engine.run_lock import NAME, STALE, Owner, RunLock, read_owner, start_of
from freeanchor.engine.signals import StopRun


def write(folder, owner: Owner, age: float = 0) -> None:
    path = folder / NAME
    path.write_text(json.dumps(asdict(owner)))
    os.utime(path, (time.time() - age,) * 2)


def elsewhere(**changes) -> Owner:
    """An owner on another machine, whose processes cannot be seen from here."""
    return replace(Owner.here(), host='node7', system='other boot', **changes)


@pytest.fixture
def ended():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, '-c', ''])
    process.wait()
    return process.pid


def test_the_lock_is_there_as_long_as_the_run_and_names_it(tmp_path):
    with RunLock(tmp_path / 'new') as lock:
        owner = read_owner(tmp_path / 'new' / NAME)
        assert owner == lock.owner
        assert owner.pid == os.getpid()
        assert owner.started == start_of(os.getpid()) > 0
    assert os.listdir(tmp_path / 'new') == []


def test_the_lock_goes_with_a_run_that_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), RunLock(tmp_path):
        _ = 1 / 0
    assert not (tmp_path / NAME).exists()


def test_the_lock_goes_with_a_signal_that_comes_while_it_is_made(tmp_path, monkeypatch):
    def interrupted(thread):
        raise StopRun('SIGTERM')

    monkeypatch.setattr(threading.Thread, 'start', interrupted)
    with pytest.raises(StopRun), RunLock(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_second_run_is_refused_and_told_whose_the_folder_is(tmp_path):
    with RunLock(tmp_path):
        before = (tmp_path / NAME).read_bytes()
        with pytest.raises(ConfigError) as info, RunLock(tmp_path):
            pass
        assert (tmp_path / NAME).read_bytes() == before
    text = str(info.value)
    assert f'process {os.getpid()} on ' in text
    assert '--work-dir' in text
    assert str(tmp_path / NAME) in text


def test_the_lock_of_a_process_that_is_gone_is_taken_over(tmp_path, ended, capsys):
    write(tmp_path, replace(Owner.here(), pid=ended))
    with RunLock(tmp_path) as lock:
        assert read_owner(tmp_path / NAME) == lock.owner
    assert f'process {ended} on' in capsys.readouterr().out


def test_a_later_process_of_the_same_number_is_not_the_owner(tmp_path):
    here = Owner.here()
    write(tmp_path, replace(here, started=here.started - 1))
    with RunLock(tmp_path) as lock:
        assert read_owner(tmp_path / NAME) == lock.owner


def test_a_run_elsewhere_is_believed_until_it_is_silent_for_minutes(tmp_path):
    write(tmp_path, elsewhere(), age=STALE - 30)
    with pytest.raises(ConfigError, match='node7'), RunLock(tmp_path):
        pass
    write(tmp_path, elsewhere(), age=STALE + 30)
    with RunLock(tmp_path):
        pass


def test_a_job_that_slurm_starts_again_elsewhere_takes_over_at_once(
    tmp_path, monkeypatch
):
    monkeypatch.setenv('SLURM_JOB_ID', '42')
    write(tmp_path, elsewhere(job='41'))
    with pytest.raises(ConfigError), RunLock(tmp_path):
        pass
    # Another step of the same job is no restart.
    write(tmp_path, elsewhere(job='42'))
    with pytest.raises(ConfigError), RunLock(tmp_path):
        pass
    monkeypatch.setenv('SLURM_RESTART_COUNT', '1')
    with RunLock(tmp_path):
        pass


def test_a_machine_that_was_started_again_has_none_of_the_processes_before(tmp_path):
    here = Owner.here()
    write(tmp_path, replace(here, system='another-boot pid:[4026531836]'))
    with RunLock(tmp_path) as lock:
        assert read_owner(tmp_path / NAME) == lock.owner


def test_a_damaged_lock_is_taken_over_once_nobody_is_writing_it(tmp_path):
    (tmp_path / NAME).write_text('{"host": ')
    with pytest.raises(ConfigError, match='just begun'), RunLock(tmp_path):
        pass
    os.utime(tmp_path / NAME, (time.time() - 60,) * 2)
    with RunLock(tmp_path):
        pass


def _try(folder, barrier, results) -> None:
    barrier.wait()
    try:
        with RunLock(folder):
            results.put('had it')
            barrier.wait()  # nobody gives it back before all have tried
    except ConfigError:
        results.put('refused')
        barrier.wait()


def test_of_many_that_find_a_stale_lock_at_once_one_gets_it(tmp_path, ended):
    context = get_context('fork')
    for _ in range(5):
        write(tmp_path, replace(Owner.here(), pid=ended))
        barrier, results = context.Barrier(6), context.Queue()
        processes = [
            context.Process(target=_try, args=(tmp_path, barrier, results))
            for _ in range(6)
        ]
        for process in processes:
            process.start()
        outcomes = [results.get(timeout=60) for _ in processes]
        for process in processes:
            process.join(60)
        assert sorted(outcomes) == ['had it'] + ['refused'] * 5
