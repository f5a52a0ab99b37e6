"""Everything that a run keeps becomes plain data, and comes back."""

from collections import Counter, OrderedDict, deque
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from freeanchor.engine.plain import from_plain, to_plain


def test_log_histories_survive_bit_for_bit():
    history = HistoryBuffer(max_length=7)
    for value in (0.1, float('nan'), float('inf'), 1 / 3):
        history.update(value, 2)
    again = from_plain(to_plain(dict(x=history)))['x']
    assert again.max_length == 7
    for got, wanted in zip(again.data, history.data):
        assert got.tobytes() == wanted.tobytes()
    assert again.statistics('current') == 1 / 3


@pytest.mark.parametrize(
    'array',
    [
        np.arange(6, dtype=np.int16).reshape(2, 3).T,
        np.array(2.5, dtype='>f8'),
        np.zeros((0, 4), dtype=np.float32),
        np.array([True, False]),
    ],
)
def test_arrays_of_numbers_survive(array):
    again = from_plain(to_plain(array))
    np.testing.assert_array_equal(again, array)
    assert again.dtype == array.dtype.newbyteorder('=')
    assert again.shape == array.shape


def test_everything_else_becomes_plain_python():
    assert to_plain(np.float64(0.5)) == 0.5
    assert type(to_plain(np.float64(0.5))) is float
    assert type(to_plain({np.int64(3): np.bool_(True)})[3]) is bool
    assert to_plain(deque([1, 2], 2)) == [1, 2]
    assert to_plain(torch.Size([2, 3])) == (2, 3)
    assert to_plain(Path('a') / 'b') == str(Path('a/b'))
    assert to_plain(np.array(['cell', 'nut'])) == ['cell', 'nut']
    assert type(to_plain(Counter('aab'))) is Counter
    assert to_plain(dict(a=1, anneal=len)) == dict(a=1)


def test_a_state_dict_keeps_the_versions_of_its_modules():
    state = nn.BatchNorm2d(2).state_dict()
    plain = to_plain(state)
    assert type(plain) is OrderedDict
    assert plain._metadata == state._metadata
    assert plain['weight'] is state['weight']


def test_what_cannot_be_plain_is_named_with_its_place():
    with pytest.raises(TypeError, match=r"message_hub\['info'\]\[1\] is a slice"):
        to_plain(dict(info=[0, slice(2)]), 'message_hub')
