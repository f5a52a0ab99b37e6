"""Signals, sent to real processes."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import pytest

from freeanchor.engine.signals import ShieldedWorker, StopRun, StopSignals


def start(
    function: Callable[..., None], *args: object
) -> tuple[BaseProcess, Connection]:
    """A process that runs ``function(connection, *args)`` and has said it is ready."""
    context = get_context('fork')
    ours, theirs = context.Pipe()
    process = context.Process(target=function, args=(theirs, *args))
    process.start()
    assert ours.poll(60)
    assert ours.recv() == 'ready'
    return process, ours


def train(connection: Connection, saves: bool) -> None:
    signals = StopSignals()
    with signals:
        signals.begin_training()
        connection.send('ready')
        while signals.requested is None:
            time.sleep(0.01)
        if saves:
            signals.saved()
        connection.send(signals.requested)
        time.sleep(60)


def train_with_a_child(connection: Connection) -> None:
    with StopSignals() as signals:
        signals.begin_training()
        child, _ = start(wait)
        connection.send('ready')
        assert child.pid is not None
        os.kill(child.pid, signal.SIGTERM)
        child.join(60)
        connection.send(child.exitcode)


def wait(connection: Connection) -> None:
    connection.send('ready')
    time.sleep(60)


def work(connection: Connection) -> None:
    # Its own start function is called, and says so.
    ShieldedWorker(lambda worker_id: connection.send('ready'))(3)
    while True:
        connection.send(connection.recv())


@pytest.fixture
def signals():
    with StopSignals() as installed:
        yield installed


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0)  # a handler runs between two instructions


@pytest.mark.parametrize('name', ['SIGTERM', 'SIGINT', 'SIGUSR1', 'SIGUSR2'])
def test_in_training_a_signal_is_noted(signals, name):
    signals.begin_training()
    send(getattr(signal, name))
    assert signals.requested == name


def test_before_training_a_signal_ends_the_program_with_75(signals):
    with pytest.raises(StopRun) as info:
        send(signal.SIGTERM)
    assert info.value.code == 75
    assert 'SIGTERM' in str(info.value)


def test_the_same_signal_from_terminal_and_launcher_is_one_request(signals):
    signals.begin_training()
    send(signal.SIGINT)
    send(signal.SIGINT)
    assert signals.requested == 'SIGINT'


def test_handlers_are_given_back():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(('saves', 'code'), [(False, 130), (True, 75)])
def test_a_second_signal_ends_the_process_at_once(saves, code):
    process, connection = start(train, saves)
    os.kill(process.pid, signal.SIGINT)
    assert connection.poll(60)
    assert connection.recv() == 'SIGINT'
    time.sleep(1.1)  # later than an echo of the first
    os.kill(process.pid, signal.SIGINT)
    process.join(30)
    assert process.exitcode == code


def test_a_process_that_is_forked_dies_by_the_signal_as_any_other():
    process, connection = start(train_with_a_child)
    assert connection.poll(30)
    assert connection.recv() == -signal.SIGTERM
    process.join(60)


def test_a_worker_outlives_what_is_sent_to_all_and_ends_with_who_it_works_for():
    process, connection = start(work)
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM):
        subprocess.run(['kill', f'-{int(number)}', str(process.pid)], check=True)
        connection.send(number)
        assert connection.poll(60)
        assert connection.recv() == number
    process.terminate()
    process.join(60)
    assert process.exitcode == 0
