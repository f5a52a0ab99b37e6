"""A step in parts is the step of the whole batch."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from freeanchor.engine import OptimWrapper
from freeanchor.engine.out_of_memory import DoesNotFitError, train_step
from freeanchor.registry import MODELS
from tests.batches import sample
from tests.processes import run_on_processes

IMAGES = [(64, 64), (48, 64), (64, 40), (32, 32), (64, 64)]
BOXES: list[list[list[float]]] = [
    [[4, 4, 30, 40], [20, 10, 60, 50]],
    [],
    [[2, 2, 38, 60]],
    [[1, 1, 30, 30], [5, 5, 20, 28], [8, 2, 30, 20]],
    [[10, 20, 50, 60]],
]


class Greedy(nn.Module):
    """One convolution that asks for too much memory at too many images."""

    def __init__(self, most: int, where: str = 'forward') -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 9, stride=16, padding=4)
        self.most, self.where = most, where

    def forward(self, x: Tensor) -> tuple[Tensor]:
        if self.training and len(x) > self.most:
            if self.where == 'forward':
                raise torch.OutOfMemoryError('CUDA out of memory.')
            x = TooMuch.apply(x.requires_grad_())
        return (self.conv(x).relu(),)


class TooMuch(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        raise torch.OutOfMemoryError('CUDA out of memory.')


def detector(loss: str, most: int, where: str = 'forward', **settings: Any) -> Any:
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='SingleStageDetector',
            data_preprocessor=dict(
                type='DetDataPreprocessor', pad_size_divisor=32,
                mean=[128.0] * 3, std=[64.0] * 3,
            ),
            backbone=dict(type='ResNet', depth=18),
            neck=dict(type='FPN', in_channels=[8], out_channels=8, num_outs=1),
            bbox_head=dict(
                type='RetinaHead', num_classes=3, in_channels=8, feat_channels=8,
                stacked_convs=1,
                anchor_generator=dict(
                    type='AnchorGenerator', strides=[16], ratios=[1.0],
                    octave_base_scale=2, scales_per_octave=2,
                ),
                bbox_coder=dict(type='DeltaBoxCoder', stds=[0.1, 0.1, 0.2, 0.2]),
            ),
            loss=dict(type=loss, **settings),
            test_cfg={},
        )
    )  # fmt: skip
    model.backbone = Greedy(most, where)
    return model


def batch(images: slice = slice(None)) -> dict[str, list]:
    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randint(256, (3, *size), generator=generator, dtype=torch.uint8)
        for size in IMAGES
    ]
    samples: list[BaseDataElement] = [
        sample(boxes, [i % 3 for i in range(len(boxes))], size)
        for boxes, size in zip(BOXES, IMAGES)
    ]
    return dict(inputs=inputs[images], data_samples=samples[images])


def runner_of(model: nn.Module, **settings: Any) -> Any:
    wrapper = OptimWrapper(
        torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9), **settings
    )
    return SimpleNamespace(model=model.train(), optim_wrapper=wrapper, iter=6)


def after_two_steps(
    model: nn.Module, data: dict[str, list]
) -> tuple[dict[str, Tensor], nn.Module]:
    runner = runner_of(model)
    train_step(runner, data)
    return train_step(runner, data), model


LOSSES = [
    dict(loss='FreeAnchorLoss', bag_size=4),
    dict(loss='FreeAnchorLoss', bag_size=4, global_normalizer=True),
    dict(loss='RetinaLoss'),
]


@pytest.mark.parametrize('where', ['forward', 'backward'])
@pytest.mark.parametrize('most', [1, 2, 3])
@pytest.mark.parametrize('loss', LOSSES, ids=str)
def test_parts_give_the_step_of_the_whole_batch(
    loss: dict, most: int, where: str
) -> None:
    expected, whole = after_two_steps(detector(most=9, **loss), batch())
    found, parts = after_two_steps(detector(most=most, where=where, **loss), batch())
    assert set(found) == set(expected)
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value.detach(), rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(parts.parameters(), whole.parameters()):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_halves_averaged_would_be_another_step() -> None:
    """So the test above would notice."""
    loss = dict(loss='FreeAnchorLoss', bag_size=4)
    expected, _ = after_two_steps(detector(most=9, **loss), batch())
    halves = [
        after_two_steps(detector(most=9, **loss), batch(part))[0]['loss']
        for part in (slice(2), slice(2, None))
    ]
    assert abs(sum(halves) / 2 - expected['loss']) > 0.01


def test_batches_without_objects_have_parts_too() -> None:
    empty = batch(slice(1, 2))
    empty = {key: value * 3 for key, value in empty.items()}
    empty['data_samples'] = [sample([], [], (48, 64)) for _ in range(3)]
    loss = dict(loss='FreeAnchorLoss', bag_size=4)
    expected, _ = after_two_steps(detector(most=9, **loss), empty)
    found, _ = after_two_steps(detector(most=1, **loss), empty)
    torch.testing.assert_close(found['loss'], expected['loss'].detach())


@pytest.mark.parametrize(
    ('images', 'settings', 'reason'),
    [
        (slice(None), {}, 'one image alone does not fit'),
        (slice(1), {}, 'one image alone does not fit'),
        (slice(None), dict(accumulative_counts=2), 'accumulated'),
    ],
)
def test_what_fits_in_no_parts_is_named(
    images: slice, settings: dict, reason: str
) -> None:
    runner = runner_of(detector('FreeAnchorLoss', most=0), **settings)
    with pytest.raises(DoesNotFitError, match=reason) as error:
        train_step(runner, batch(images))
    text = str(error.value)
    assert 'iteration 7' in text
    assert '64 x 64' in text
    for advice in ('batch_size', 'scale', '--amp', 'with_cp'):
        assert advice in text
    assert '\n' not in text
    assert DoesNotFitError.exit_code == 2


def test_other_errors_are_left_alone() -> None:
    runner = runner_of(detector('FreeAnchorLoss', most=9))
    data = batch()
    data['data_samples'][0].gt_instances.labels[0] = 7
    with pytest.raises(ValueError, match='label 7'):
        train_step(runner, data)


def test_parts_draw_no_random_numbers_of_their_own() -> None:
    runner = runner_of(detector('RetinaLoss', most=2))
    before = torch.get_rng_state()
    train_step(runner, batch())
    assert torch.equal(torch.get_rng_state(), before)
    assert all(x.training for x in runner.model.modules())


def _train(rank: int, processes: int) -> list:
    data = batch(slice(2) if rank == 0 else slice(2, None))
    results = []
    for most in (9, 9 if rank == 0 else 1):  # all in one go; in parts on rank 1
        model = detector('FreeAnchorLoss', most, bag_size=4)
        runner = runner_of(MMDistributedDataParallel(model, broadcast_buffers=False))
        losses = [train_step(runner, data)['loss'].item() for _ in range(3)]
        results.append((losses, [x.detach().clone() for x in model.parameters()]))
    return results


def test_a_process_that_needs_parts_stays_in_step_with_the_others() -> None:
    first, second = run_on_processes(_train, 2)
    for (losses, weights), (found_losses, found) in (first, second):
        assert found_losses == pytest.approx(losses, rel=1e-5)
        for whole, parts in zip(weights, found):
            torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-6)
    assert all(map(torch.equal, first[1][1], second[1][1]))
