from copy import copy
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from freeanchor.engine import runner
from freeanchor.engine.prefetch import DevicePrefetcher, move_inputs

from .test_device_log import runner_of


def loader() -> DataLoader:
    data = [dict(inputs=torch.full((3, 2, 2), i), data_samples=i) for i in range(5)]
    return DataLoader(data, batch_size=2, collate_fn=collate)


def collate(samples: list[dict]) -> dict:
    return dict(inputs=[x['inputs'] for x in samples], data_samples=samples)


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


def test_what_a_hook_writes_reaches_the_loader() -> None:
    plain = loader()
    prefetcher = DevicePrefetcher(plain, 'cpu')
    prefetcher._iterator = 'to be made anew'
    assert plain._iterator == 'to be made anew'
    assert copy(prefetcher).dataset is plain.dataset


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_batches_arrive_on_the_gpu_in_order() -> None:
    batches = list(DevicePrefetcher(loader(), 'cuda'))
    assert [x.device.type for x in batches[0]['inputs']] == ['cuda'] * 2
    values = [int(x[0, 0, 0]) for batch in batches for x in batch['inputs']]
    assert values == [0, 1, 2, 3, 4]


def test_iteration_based_loops_take_their_batches_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, 'get_device', lambda: 'cuda')
    found = runner_of(runner.DetectionRunner, tmp_path)
    loop = found.build_train_loop(found._train_loop)
    assert isinstance(loop.dataloader_iterator._dataloader, DevicePrefetcher)
    assert loop.dataloader is loop.dataloader_iterator._dataloader
