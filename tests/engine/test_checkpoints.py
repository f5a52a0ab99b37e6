"""What a run saves loads as plain data, and a run goes on from it."""

from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn

from freeanchor.engine.plain import from_plain, to_plain

EPOCHS = 4
STEPS = 3 * EPOCHS
SCHEDULES = (
    dict(type='LinearLR', start_factor=0.3, by_epoch=False, end=5),
    dict(type='MultiStepLR', milestones=[2, 3], by_epoch=True),
    # Keeps a function in its state.
    dict(type='OneCycleLR', eta_max=0.1, total_steps=STEPS, by_epoch=False),
)


class Points(torch.utils.data.Dataset):
    def __init__(self) -> None:
        names = ('cell', 'nut', 'cell')
        self.metainfo = dict(classes=names, cat_ids=[1, 2, 7], colours=np.arange(6))

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        values = torch.randn(4, generator=torch.Generator().manual_seed(index))
        return values[:3], values[3]


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.linear = nn.Linear(3, 1)

    def forward(self, x: Tensor, y: Tensor, mode: str) -> dict[str, Tensor]:
        return dict(loss=(self.linear(self.norm(x)).squeeze(1) - y).square().mean())


def train(
    work_dir: Path,
    start: Path | None = None,
    schedules: Sequence[dict] = SCHEDULES,
    **hook: Any,
) -> Runner:
    """Train the same model on the same data, from ``start`` where it is given."""
    torch.manual_seed(0)
    runner = Runner(
        Line(),
        str(work_dir),
        train_dataloader=dict(
            dataset=Points(),
            batch_size=4,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=EPOCHS),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        param_scheduler=deepcopy(list(schedules)),
        default_hooks=dict(
            checkpoint={'type': 'CheckpointHook', 'interval': 1, **hook}
        ),
        load_from=str(start) if start else None,
        resume=start is not None,
        randomness=dict(seed=0),
        default_scope='freeanchor',
        experiment_name=f'{work_dir}-{start}',
    )
    runner.train()
    return runner


@pytest.fixture(scope='module')
def straight(tmp_path_factory) -> Runner:
    """A run that nothing interrupted."""
    return train(tmp_path_factory.mktemp('straight'))


def test_a_saved_checkpoint_needs_no_class_to_be_allowed(straight):
    path = Path(straight.work_dir) / 'epoch_4.pth'
    assert torch.serialization.get_unsafe_globals_in_checkpoint(path) == []
    checkpoint = torch.load(path, weights_only=True)
    assert {'state_dict', 'optimizer', 'param_schedulers'} <= set(checkpoint)
    logs = checkpoint['message_hub']['log_scalars']['train/loss']
    assert torch.is_tensor(logs['logs']['values'])


def test_a_resumed_run_ends_in_the_weights_of_a_straight_one(straight, tmp_path):
    resumed = train(tmp_path, Path(straight.work_dir) / 'epoch_2.pth')
    wanted = straight.model.state_dict()
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name
    momenta = straight.optim_wrapper.state_dict()['state']
    for index, state in resumed.optim_wrapper.state_dict()['state'].items():
        assert torch.equal(state['momentum_buffer'], momenta[index]['momentum_buffer'])


def test_a_resumed_run_has_the_log_of_a_straight_one(straight, tmp_path):
    resumed = train(tmp_path, Path(straight.work_dir) / 'epoch_2.pth')
    scalars = straight.message_hub.log_scalars
    assert set(resumed.message_hub.log_scalars) == set(scalars)
    for name in ('train/loss', 'train/lr'):
        history = resumed.message_hub.log_scalars[name]
        assert isinstance(history, HistoryBuffer)
        for got, wanted in zip(history.data, scalars[name].data):
            assert got.dtype == wanted.dtype
            np.testing.assert_array_equal(got, wanted)


def test_resuming_finds_the_data_set_that_it_left(straight, tmp_path):
    resumed = train(tmp_path, Path(straight.work_dir) / 'epoch_2.pth')
    log = next(Path(resumed.log_dir).glob('*.log')).read_text()
    assert 'resumed epoch: 2, iter: 6' in log
    assert 'dataset metainfo from the resumed checkpoint is different' not in log


def test_a_published_checkpoint_is_plain_too(tmp_path):
    train(tmp_path, published_keys=['meta', 'state_dict', 'message_hub'])
    published = next(tmp_path.glob('epoch_4-*.pth'))
    assert torch.serialization.get_unsafe_globals_in_checkpoint(published) == []
    assert 'message_hub' in torch.load(published, weights_only=True)


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


def test_a_checkpoint_of_mmengines_own_hook_can_be_resumed(tmp_path):
    straight = train(
        tmp_path / 'theirs', schedules=SCHEDULES[:2], type='mmengine.CheckpointHook'
    )
    path = tmp_path / 'theirs' / 'epoch_2.pth'
    unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    assert 'mmengine.logging.history_buffer.HistoryBuffer' in unsafe
    resumed = train(tmp_path / 'ours', path, SCHEDULES[:2])
    wanted = straight.model.state_dict()
    for name, tensor in resumed.model.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name
