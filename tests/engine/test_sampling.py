"""Order and randomness are functions of seed, epoch and index."""

import pickle
import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import BatchSampler, DataLoader, Dataset

from freeanchor.datasets import AspectRatioBatchSampler
from freeanchor.engine.sampling import (
    Draw,
    ResumableBatches,
    ResumableLoader,
    SeededDataset,
    seeded,
)


class Images(Dataset):
    def __init__(self, count: int = 23) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def get_data_info(self, index: int) -> dict:
        return dict(width=2, height=1 + 2 * (index % 3 == 0))

    def __getitem__(self, index: int) -> tuple[int, float, float, float]:
        return index, random.random(), np.random.rand(), torch.rand(()).item()


def sampler(count: int = 23, kind: Any = DefaultSampler) -> Any:
    return kind(Images(count), shuffle=True, seed=0)


def by_orientation(count: int = 23) -> Any:
    return AspectRatioBatchSampler(sampler(count), 4)


@given(
    count=st.integers(1, 40),
    size=st.integers(1, 7),
    epoch=st.integers(0, 5),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_a_later_start_gives_the_rest_of_the_same_batches(count, size, epoch, data):
    batches = ResumableBatches(BatchSampler(sampler(count), size, False))
    batches.start_at(5, epoch)
    whole = list(batches)
    first = data.draw(st.integers(0, len(whole)))
    batches.start_at(5, epoch, first)
    assert list(batches) == whole[first:]


@pytest.mark.parametrize('first', [0, 1, 4, 6])
def test_batches_of_one_orientation_are_found_again(first):
    batches = ResumableBatches(by_orientation())
    batches.start_at(1, 2)
    whole = list(batches)
    again = ResumableBatches(by_orientation())
    again.start_at(1, 2, first)
    assert list(again) == whole[first:]


def test_a_sampler_without_end_counts_its_passes():
    batches = ResumableBatches(BatchSampler(sampler(8, InfiniteSampler), 2, False))
    batches.start_at(0, 0)
    stream = iter(batches)
    epochs = [next(stream)[0].epoch for _ in range(10)]
    assert epochs == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]


def test_a_draw_survives_the_way_to_a_worker():
    draw = pickle.loads(pickle.dumps(Draw(7, seed=3, epoch=2)))
    assert (draw, draw.seed, draw.epoch) == (7, 3, 2)


def test_a_sample_is_the_same_whatever_was_drawn_before():
    images = SeededDataset(Images())
    first = images[Draw(4, 0, 1)]
    torch.rand(3), np.random.rand(3), random.random()
    assert images[Draw(4, 0, 1)] == first
    assert images[Draw(4, 0, 2)][1:] != first[1:]
    assert images[Draw(4, 1, 1)][1:] != first[1:]
    assert images[Draw(5, 0, 1)][1:] != first[1:]


def test_loading_a_sample_draws_nothing_from_the_network_s_generators():
    def draw() -> tuple:
        return random.random(), np.random.rand(), torch.rand(()).item()

    def seed() -> None:
        random.seed(1), np.random.seed(1), torch.manual_seed(1)

    seed()
    wanted = draw()
    seed()
    SeededDataset(Images())[Draw(4, 0, 1)]
    assert draw() == wanted


def test_generators_come_back_after_an_error():
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    with pytest.raises(KeyError), seeded(0, 0, 0):
        raise KeyError
    assert torch.equal(torch.rand(3), wanted)


def test_a_seeded_data_set_is_the_other_one_in_all_else():
    inner = Images()
    outer = SeededDataset(inner)
    assert len(outer) == 23
    assert outer.get_data_info(3)['height'] == 3
    outer.count = 5
    assert inner.count == 5
    assert len(pickle.loads(pickle.dumps(outer))) == 5
    assert outer[2][0] == 2
    assert not hasattr(outer, 'pipeline')


@pytest.mark.parametrize('workers', [0, 2])
def test_a_loader_begins_with_any_batch(workers):
    def loader() -> ResumableLoader:
        return ResumableLoader(
            DataLoader(Images(), batch_size=4, sampler=sampler(), num_workers=workers)
        )

    whole = loader()
    whole.start_at(9, 3)
    batches = [[x.tolist() for x in batch] for batch in whole]
    assert len(batches) == len(whole) == 6
    late = loader()
    late.start_at(9, 3, 4)
    assert [[x.tolist() for x in batch] for batch in late] == batches[4:]


def test_creating_a_loader_s_iterator_draws_nothing():
    loader = ResumableLoader(DataLoader(Images(), batch_size=4, sampler=sampler()))
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    next(iter(loader))
    assert torch.equal(torch.rand(3), wanted)
