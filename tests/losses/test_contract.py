"""What every registered loss must survive."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.nn.parallel import DistributedDataParallel
from torch.testing import assert_close

from freeanchor.boxes import DeltaBoxCoder
from freeanchor.losses import DenseLoss
from freeanchor.structures import DensePredictions, Objects, Regions
from tests.batches import flat, gradients, objects, predictions, sample
from tests.processes import run_on_processes

from .contract import (
    EMPTY,
    EXTREMES,
    HEADS,
    LOSSES,
    NUM_CLASSES,
    OBJECT,
    SCENES,
    Network,
    build,
    images,
    takes,
)

WITH_COUNTS = [x for x in LOSSES if type(build(x)).counts is not DenseLoss.counts]


@pytest.fixture(params=LOSSES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def loss(name: str) -> nn.Module:
    return build(name)


@pytest.fixture(params=EXTREMES)
def head(request: pytest.FixtureRequest) -> dict:
    return HEADS[request.param]


def assert_finite(terms: dict[str, Tensor], batch: DensePredictions) -> None:
    for name, value in terms.items():
        assert 'loss' in name
        assert value.ndim == 0
        assert value.isfinite(), name
    for grad in gradients(terms, batch):
        assert grad.isfinite().all()


def test_there_are_losses_to_try() -> None:
    assert {'FreeAnchorLoss', 'RetinaLoss', 'LTMLoss', 'TALLoss'} <= set(LOSSES)


@pytest.mark.parametrize('scene', SCENES)
@pytest.mark.parametrize('logit', [None, 30.0, -30.0, 1000.0, -1000.0])
def test_hard_inputs_are_finite(
    loss: nn.Module, head: dict, scene: str, logit: float | None
) -> None:
    batch = predictions(logit=logit, **head)
    assert_finite(loss(batch, objects(*SCENES[scene])), batch)


@pytest.mark.parametrize('scene', SCENES)
def test_boxes_far_from_everything_are_finite(
    loss: nn.Module, head: dict, scene: str
) -> None:
    batch = predictions(**head)
    for far in (-1000.0, 1000.0):
        deltas = [torch.full_like(x, far).requires_grad_() for x in batch.deltas]
        thrown = replace(batch, deltas=tuple(deltas))
        assert_finite(loss(thrown, objects(*SCENES[scene])), thrown)


@pytest.mark.parametrize('scene', SCENES)
def test_boxes_right_on_the_objects_are_finite(loss: nn.Module, scene: str) -> None:
    batch, truth = predictions(), objects(*SCENES[scene])
    box = truth.boxes[0] if len(truth) else torch.tensor([1.0, 1, 9, 9])
    exact = [batch.coder.encode(x, box) for x in batch.anchors]
    deltas = tuple(
        x.expand(2, -1, -1).reshape(like.shape).clone().requires_grad_()
        for x, like in zip(exact, batch.deltas)
    )
    perfect = replace(batch, deltas=deltas)
    assert_finite(loss(perfect, truth), perfect)


@pytest.mark.parametrize('scene', SCENES)
def test_fewer_anchors_than_a_bag_are_enough(loss: nn.Module, scene: str) -> None:
    batch = predictions(size=32, strides=(32,))  # 9 anchors
    assert_finite(loss(batch, objects(*SCENES[scene])), batch)


@pytest.mark.parametrize('head', HEADS)
def test_every_prediction_and_parameter_stays_in_the_graph(
    loss: nn.Module, head: str
) -> None:
    for scene in SCENES.values():
        batch = predictions(**HEADS[head])
        terms = loss(batch, objects(*scene))
        leaves = [*batch.logits, *batch.deltas, *batch.quality, *loss.parameters()]
        # Raises if a tensor was not used, as DistributedDataParallel would.
        for grad in torch.autograd.grad(sum(terms.values()), leaves):
            assert grad.isfinite().all()


def test_every_logit_learns(loss: nn.Module, head: dict) -> None:
    batch = predictions(logit=-2.0, **head)
    grads = gradients(loss(batch, objects(*SCENES['typical'])), batch)
    learning = flat(grads[: len(batch.logits)]).ne(0).float().mean()
    assert learning > 0.9  # a loss may leave out anchors between the classes


@pytest.mark.parametrize('box', [[30, 30, 34, 34], [0, 0, 64, 64], [1, 30, 63, 33]])
def test_tiny_huge_and_slender_objects_move_their_boxes(
    loss: nn.Module, box: list[float]
) -> None:
    # Around anchors' centres: some objectives pass over an object that holds none.
    batch = predictions(num_images=1, strides=(8, 16, 32))
    grads = gradients(loss(batch, objects(sample([box], [1]))), batch)
    assert flat(grads[len(batch.logits) :]).abs().max() > 1e-6


@pytest.mark.parametrize('head', HEADS)
def test_the_order_of_objects_does_not_matter(loss: nn.Module, head: str) -> None:
    # Apart, because hard assignment gives a contested anchor to the later one.
    batch = predictions(num_images=1, strides=(8, 16, 32), **HEADS[head])
    boxes = torch.tensor([[2.0, 2, 34, 30], [40, 4, 62, 26], [20, 36, 50, 62]])
    labels = torch.tensor([0, 2, 0])
    order = torch.tensor([2, 0, 1])
    first = loss(batch, objects(sample(boxes, labels)))
    second = loss(batch, objects(sample(boxes[order], labels[order])))
    assert_close(first, second)
    assert_close(gradients(first, batch), gradients(second, batch))


@pytest.mark.parametrize('head', HEADS)
def test_the_order_of_images_does_not_matter(loss: nn.Module, head: str) -> None:
    batch = predictions(**HEADS[head])
    first, second = SCENES['typical']
    assert_close(
        loss(batch, objects(first, second)),
        loss(images(batch, [1, 0]), objects(second, first)),
    )


def test_only_what_is_predicted_keeps_a_loss_from_having_counts() -> None:
    """PAA and TAL choose positives by what is predicted."""
    assert set(LOSSES) - set(WITH_COUNTS) == {'PAALoss', 'TALLoss'}


@pytest.mark.parametrize('name', WITH_COUNTS)
@pytest.mark.parametrize('scene', SCENES)
def test_where_there_are_counts_parts_add_up_to_the_batch(
    loss: nn.Module, scene: str, head: dict
) -> None:
    batch = predictions(**head)
    whole = [0, 1], SCENES[scene]
    parts = [([i], [picture]) for i, picture in enumerate(SCENES[scene])]
    shares = [(images(batch, rows), objects(*own)) for rows, own in [whole, *parts]]
    counts = [loss.counts(*share) for share in shares]
    terms = [loss(*share) for share in shares]
    for key, value in terms[0].items():
        divisors = [max(float(x[key]), 1.0) for x in counts]
        pieces = zip(terms[1:], divisors[1:])
        total = sum(term[key] * divisor for term, divisor in pieces) / divisors[0]
        assert_close(total, value, rtol=1e-5, atol=1e-6)


def test_what_lies_in_an_ignored_region_may_be_anything(name: str, head: dict) -> None:
    assert takes(name, 'ignore_iof_thr')
    batch = predictions(**head)
    everywhere = [[-500.0, -500.0, 500.0, 500.0]]
    truth = objects(OBJECT, sample([], [], ignored=everywhere))
    for threshold, is_free in ((0.5, True), (None, False)):
        loss = build(name, ignore_iof_thr=threshold)
        grads = flat(gradients(loss(batch, truth), batch)[: len(batch.logits)])
        assert grads[0].abs().sum() > 0
        assert (grads[1].abs().sum() == 0) == is_free


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_predictions_give_float32_losses(
    loss: nn.Module, head: dict, dtype: torch.dtype
) -> None:
    batch = predictions(dtype=dtype, logit=7.0, **head)
    terms = loss(batch, objects(*SCENES['typical']))
    for value in terms.values():
        assert value.dtype == torch.float32
    assert_finite(terms, batch)


def test_float64_predictions_give_float64_losses(loss: nn.Module, head: dict) -> None:
    batch = predictions(dtype=torch.float64, **head)
    for value in loss(batch, objects(*SCENES['typical'])).values():
        assert value.dtype == torch.float64


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast_around_it_changes_nothing(
    loss: nn.Module, head: dict, dtype: torch.dtype
) -> None:
    batch, truth = predictions(**head), objects(*SCENES['typical'])
    exact = loss(batch, truth)
    with torch.autocast('cpu', dtype=dtype):
        mixed = loss(batch, truth)
    assert_close(mixed, exact)


@pytest.mark.skipif(torch.__version__ < '2.7', reason='fake CUDA needs a driver here')
def test_no_operation_is_unsafe_under_cuda_autocast(
    name: str, head: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors without data show it where there is no GPU: dispatch is by device."""
    for place in ('boxes.search', 'losses.background', 'losses.entries'):
        monkeypatch.setattr(f'freeanchor.{place}.can_fuse', lambda x: False)
    objective = build(name)
    shapes = ShapeEnv(allow_dynamic_output_shape_ops=True)
    with FakeTensorMode(shape_env=shapes, allow_non_fake_inputs=True):
        objective.to('cuda')
        torch.set_autocast_enabled('cuda', True)
        try:
            half = torch.zeros(4, device='cuda', dtype=torch.float16)
            with pytest.raises(RuntimeError, match='unsafe to autocast'):
                nn.functional.binary_cross_entropy(half, half)
            for value in objective(*_without_data(head)).values():
                assert value.dtype == torch.float32
        finally:
            torch.set_autocast_enabled('cuda', False)
            torch.clear_autocast_cache()


def _without_data(head: dict) -> tuple[DensePredictions, Objects]:
    per_position = 1 if 'ratios' in head else 9

    def level(width: int) -> tuple[Tensor]:
        shape = 1, 4, per_position, width
        return (torch.zeros(shape, device='cuda', dtype=torch.float16),)

    row = torch.zeros(1, device='cuda', dtype=torch.long)
    boxes = torch.ones(1, 4, device='cuda')
    batch = DensePredictions(
        level(NUM_CLASSES),
        level(4),
        (torch.zeros(4 * per_position, 4, device='cuda'),),
        DeltaBoxCoder(),
        level(1) if head.get('with_quality') else (),
    )
    ignored = Regions(boxes[:0], row[:0])
    return batch, Objects(boxes, row, row, (1,), ignored, ((64, 64),))


Gradients = dict[str, dict[str, list[float]]]


def _gradients_of_two_steps(rank: int, processes: int) -> Gradients:
    """Of every loss, where all objects are on the first process."""
    found = {}
    for name in LOSSES:
        for head in EXTREMES:
            torch.manual_seed(rank)
            batch = predictions(num_images=1, **HEADS[head])
            model = DistributedDataParallel(Network(batch, build(name)))
            for _ in range(2):  # the second finds out what the first left unused
                model.zero_grad()
                model(objects(OBJECT if rank == 0 else EMPTY)).backward()
            found[f'{name}, {head}'] = {
                key: x.grad.flatten().tolist() for key, x in model.named_parameters()
            }
    return found


@pytest.mark.slow
def test_processes_of_which_one_has_no_object_agree_on_the_gradient() -> None:
    # Not in processes.py: DistributedDataParallel itself would raise or hang.
    first, second = run_on_processes(_gradients_of_two_steps, 2)
    assert first == second
    for case, grads in first.items():
        values = torch.cat([torch.tensor(x) for x in grads.values()])
        assert values.isfinite().all(), case
        assert values.abs().sum() > 0, case
