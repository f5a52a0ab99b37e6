from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from freeanchor.models.graphs import Recorded


class Recorder:
    """A recording as CUDA graphs are: fixed inputs, fixed outputs, no Python."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, function: Callable, inputs: tuple) -> Callable[[], Tensor]:
        self.count += 1
        out = function(*inputs)

        def replay() -> Tensor:
            return out.copy_(function(*inputs))

        return replay


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_a_shape_is_recorded_once_and_follows_its_inputs(recorder: Recorder) -> None:
    double = Recorded(lambda x: 2 * x, record=recorder)
    for value in (1.0, 2.0, 3.0):
        assert double(torch.full((2, 3), value)).eq(2 * value).all()
    assert recorder.count == 1


def test_dtypes_and_layouts_are_recorded_apart(recorder: Recorder) -> None:
    same = Recorded(lambda x: x + 0, record=recorder)
    x = torch.rand(1, 4, 5, 6)
    for given in (x, x.double(), x.to(memory_format=torch.channels_last)):
        assert torch.equal(same(given), given)
    assert recorder.count == 3


def test_shapes_beyond_the_limit_run_unrecorded(recorder: Recorder) -> None:
    same = Recorded(lambda x: x + 0, max_shapes=2, record=recorder)
    for size in (1, 2, 3, 4, 1, 3):
        assert torch.equal(same(torch.ones(size)), torch.ones(size))
    assert recorder.count == 2


def test_a_caller_may_change_its_inputs_afterwards(recorder: Recorder) -> None:
    same = Recorded(lambda x: x + 0, record=recorder)
    x = torch.ones(3)
    out = same(x)
    x.zero_()
    assert out.eq(1).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_cuda_graph_follows_its_inputs() -> None:
    double = Recorded(lambda x: 2 * x)
    for value in (1.0, 2.0, 3.0):
        assert double(torch.full((2, 3), value, device='cuda')).eq(2 * value).all()
