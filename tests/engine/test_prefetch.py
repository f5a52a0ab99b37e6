import torch
from torch.utils.data import DataLoader

from freeanchor.engine.prefetch import DevicePrefetcher, move_inputs


def loader() -> DataLoader:
    data = [dict(inputs=torch.full((3, 2, 2), i), data_samples=i) for i in range(5)]
    return DataLoader(data, batch_size=2, collate_fn=lambda x: dict(inputs=x))


def test_where_there_is_no_gpu_batches_pass_as_they_are() -> None:
    plain = loader()
    batches = list(DevicePrefetcher(plain, 'cpu'))
    assert [len(x['inputs']) for x in batches] == [2, 2, 1]


def test_everything_else_is_the_loaders() -> None:
    plain = loader()
    prefetcher = DevicePrefetcher(plain, 'cpu')
    assert len(prefetcher) == 3
    assert prefetcher.dataset is plain.dataset
    assert prefetcher.sampler is plain.sampler


def test_images_move_and_samples_stay() -> None:
    samples = [torch.zeros(1)]
    batch = dict(inputs=[torch.zeros(3, 2, 2)], data_samples=samples)
    moved = move_inputs(batch, torch.device('meta'))
    assert moved['inputs'][0].is_meta
    assert moved['data_samples'] is samples
    assert not batch['inputs'][0].is_meta


def test_a_stacked_batch_moves_as_one_and_other_batches_stay() -> None:
    moved = move_inputs(dict(inputs=torch.zeros(2, 3, 2, 2)), torch.device('meta'))
    assert moved['inputs'].is_meta
    other = [torch.zeros(2)]
    assert move_inputs(other, torch.device('meta')) is other
