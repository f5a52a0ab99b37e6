import os

import pytest

from freeanchor.engine.workers import auto_workers, with_workers


@pytest.mark.parametrize(
    ('cores', 'processes', 'workers'), [(1, 1, 1), (2, 1, 2), (64, 8, 4), (4, 8, 1)]
)
def test_processes_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, processes: int, workers: int
) -> None:
    monkeypatch.setattr(
        os, 'sched_getaffinity', lambda _: set(range(cores)), raising=False
    )
    assert auto_workers(processes) == workers


@pytest.mark.parametrize('config', [dict(), dict(num_workers='auto')])
def test_an_open_number_is_filled_in(
    monkeypatch: pytest.MonkeyPatch, config: dict
) -> None:
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '1000')
    found = with_workers(config)
    assert found == dict(num_workers=1, persistent_workers=True)


def test_a_number_of_the_config_stays() -> None:
    assert with_workers(dict(num_workers=7))['num_workers'] == 7


def test_a_loader_of_a_given_number_persists_only_if_it_says_so() -> None:
    assert not with_workers(dict(num_workers=2))['persistent_workers']


def test_no_workers_do_not_persist() -> None:
    config = dict(num_workers=0, persistent_workers=True)
    assert with_workers(config) == dict(num_workers=0, persistent_workers=False)


def test_a_loader_that_is_built_stays_as_it_is() -> None:
    loader = object()
    assert with_workers(loader) is loader
