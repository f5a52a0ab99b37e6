import pytest
from mmengine.dataset import (
    ConcatDataset,
    DefaultSampler,
    InfiniteSampler,
    RepeatDataset,
)
from torch.utils.data import DataLoader

from freeanchor.datasets import AspectRatioBatchSampler, CocoDataset
from freeanchor.registry import DATA_SAMPLERS

from .coco_files import LOAD, PACK, write

WIDE, TALL, SQUARE = (40, 30), (30, 40), (30, 30)
SIZES = [WIDE, TALL, WIDE, SQUARE, TALL, WIDE, TALL]


@pytest.fixture
def dataset(tmp_path) -> CocoDataset:
    return CocoDataset(**write(tmp_path, sizes=SIZES), pipeline=[*LOAD, PACK])


def batches(data, batch_size: int = 2, **kwargs) -> list[list[int]]:
    sampler = DefaultSampler(data, shuffle=False)
    grouped = AspectRatioBatchSampler(sampler, batch_size, **kwargs)
    found = list(grouped)
    assert len(found) == len(grouped)
    return found


def test_a_batch_is_of_one_orientation_but_for_the_last(dataset):
    # squares go with the landscapes
    assert batches(dataset) == [[0, 2], [1, 4], [3, 5], [6]]


def test_every_image_comes_once(dataset):
    for size in range(1, 9):
        found = [i for batch in batches(dataset, size) for i in batch]
        assert sorted(found) == list(range(len(SIZES)))


def test_drop_last_leaves_only_full_batches(dataset):
    for size in range(1, 9):
        found = batches(dataset, size, drop_last=True)
        assert all(len(batch) == size for batch in found)


def test_wrapped_data_sets_are_grouped_too(dataset):
    twice = batches(RepeatDataset(dataset, times=2), 4)
    joined = batches(ConcatDataset([dataset, dataset]), 4)
    assert twice == joined
    tall = {i for i, (w, h) in enumerate(SIZES * 2) if w < h}
    assert [bool(tall & set(batch)) for batch in twice] == [False, True, False, True]
    assert set(twice[1]) <= tall


def test_no_image_is_read(dataset, tmp_path):
    for path in tmp_path.glob('*.png'):
        path.unlink()
    assert len(batches(dataset)) == 4


def test_an_endless_sampler_gives_endless_batches(dataset):
    grouped = AspectRatioBatchSampler(InfiniteSampler(dataset, shuffle=False), 2)
    first = [batch for batch, _ in zip(grouped, range(20))]
    assert all(len(batch) == 2 for batch in first)


def test_it_works_as_a_config_in_a_loader(dataset):
    grouped = DATA_SAMPLERS.build(
        dict(
            type='AspectRatioBatchSampler',
            sampler=DefaultSampler(dataset, shuffle=False),
            batch_size=2,
        )
    )
    loader = DataLoader(dataset, batch_sampler=grouped, collate_fn=list)
    shapes = [[tuple(x['inputs'].shape[1:]) for x in batch] for batch in loader]
    assert shapes == [
        [(30, 40), (30, 40)],
        [(40, 30), (40, 30)],
        [(30, 30), (30, 40)],
        [(40, 30)],
    ]
