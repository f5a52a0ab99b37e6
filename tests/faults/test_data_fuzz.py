"""The short form of fuzz_data.py, and annotation files drawn by hypothesis."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freeanchor.datasets import CocoDataset, DataError
from freeanchor.datasets.check import Source, check_sources
from freeanchor.datasets.checks.mend import mended

from . import fuzz_data


@pytest.mark.parametrize('what', sorted(fuzz_data.CASES))
def test_damaged_files_end_in_a_data_error_and_nothing_else(what):
    """T23: no death by a signal, no hang, no other exception."""
    assert fuzz_data.fuzz(fuzz_data.CASES[what], count=400, seed=0) == {}


def test_the_fuzz_run_names_what_goes_wrong(monkeypatch):
    """T23: a case that crashes, hangs or raises is counted, and the others run."""
    done = []

    def case(rng, folder) -> None:
        number = len(done)
        done.append(number)  # in the child: it starts anew after each failure
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    failures = fuzz_data.fuzz(case, count=3, seed=0)
    assert failures == {1: 'killed by SIGKILL'}

    monkeypatch.setattr(fuzz_data, 'LONGEST', 1)
    assert fuzz_data.fuzz(lambda *_: time.sleep(30), 1, 0) == {0: 'no end'}

    def raising(rng, folder) -> None:
        raise KeyError('odd')

    assert fuzz_data.fuzz(raising, 2, 0) == {0: "KeyError: 'odd'", 1: "KeyError: 'odd'"}


numbers = st.one_of(st.integers(), st.floats())
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.text(max_size=5), inner, max_size=4),
    ),
    max_leaves=8,
)
ids = st.one_of(st.integers(0, 3), st.sampled_from(['1', 'a']), values)


def entries(**fields: st.SearchStrategy) -> st.SearchStrategy:
    entry = st.fixed_dictionaries({}, optional=fields)
    return st.lists(st.one_of(entry, entry, entry, values), max_size=4)


files = st.fixed_dictionaries(
    {},
    optional=dict(
        images=st.one_of(
            entries(
                id=ids,
                file_name=st.one_of(st.sampled_from(['1.png', '../1.png']), values),
                width=st.one_of(st.integers(1, 99), values),
                height=st.one_of(st.integers(1, 99), values),
            ),
            values,
        ),
        annotations=st.one_of(
            entries(
                id=ids,
                image_id=ids,
                category_id=ids,
                bbox=st.one_of(st.lists(numbers, min_size=4, max_size=4), values),
                area=values,
                iscrowd=values,
            ),
            values,
        ),
        categories=st.one_of(
            entries(id=ids, name=st.one_of(st.text(), values)), values
        ),
    ),
)


def read(path: Path) -> None:
    data = CocoDataset(str(path), data_prefix=dict(img_path=str(path.parent)))
    assert all(data.get_data_info(i)['img_path'] for i in range(len(data)))


def refusal(call: Callable[[], object]) -> str | None:
    """What a call is refused with; None if it is not."""
    try:
        call()
    except DataError as error:
        return str(error)
    return None


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(content=st.one_of(files, files, values))
def test_any_annotation_file_is_read_or_refused_by_name(tmp_path, content):
    """T23: what reading refuses, the doctor calls an error."""
    path = tmp_path / 'boxes.json'
    path.write_text(json.dumps(content))
    source = Source('train', str(path), str(tmp_path))
    report = check_sources([source], 'fast')
    refused = refusal(lambda: read(path))
    if refused is not None:
        assert str(path) in refused
        assert report.errors
    refused = refusal(lambda: json.dumps(mended(source, 'fast')))
    assert refused is None or str(path) in refused
