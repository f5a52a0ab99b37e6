import os

import pytest
import torch

from benchmarks.timing import interleave, peak_memory, ratio


def test_competitors_take_turns_and_are_cleared_before():
    order: list[str] = []
    calls = {name: lambda name=name: order.append(name) for name in 'ab'}
    times = interleave(calls, repeats=2, warmup=1, clear=lambda: order.append('-'))
    assert ''.join(order) == '-a-b' * 3
    assert set(times) == {'a', 'b'}
    assert times['a']['repeats'] == 2
    assert times['a']['wall_best_s'] <= times['a']['wall_median_s']


@pytest.mark.skipif(
    not os.access('/proc/self/clear_refs', os.W_OK), reason='the system does not tell'
)
def test_memory_is_that_of_the_call_alone():
    def call(mib: int) -> None:
        torch.ones(mib * 2**20 // 4).sum()

    small, large = (
        peak_memory(lambda n=n: call(n), 'cpu')['peak_rss_growth_mb'] for n in (16, 160)
    )
    assert small < 60
    assert 150 < large < 230


def test_a_ratio_needs_both_competitors():
    times = {'a': dict(wall_median_s=6.0), 'b': dict(wall_median_s=2.0)}
    assert ratio(times, 'a', 'b') == 3
    assert ratio(times, 'a', 'absent') is None
