"""What every registered loss must survive."""

import pytest
import torch
from torch import Tensor, nn

from freeanchor.losses import DenseLoss
from freeanchor.registry import MODELS
from freeanchor.structures import DensePredictions
from tests.batches import flat, gradients, objects, predictions, sample

MODELS.import_from_location()
LOSSES = sorted(
    name
    for name, kind in MODELS.module_dict.items()
    if isinstance(kind, type) and issubclass(kind, DenseLoss)
)
OBJECT = sample([[8, 8, 40, 40]], [1])
EMPTY = sample([], [])
SCENES = {
    'typical': (OBJECT, sample([[4, 6, 40, 44], [30, 2, 60, 62]], [0, 2])),
    'one image without objects': (EMPTY, OBJECT),
    'no objects in the batch': (EMPTY, EMPTY),
    'the same box twice': (sample([[8, 8, 40, 40]] * 2, [1, 1]), OBJECT),
    'two labels on one box': (sample([[8, 8, 40, 40]] * 2, [1, 2]), OBJECT),
    'tiny and huge': (
        sample([[30, 30, 32, 32], [31, 9, 33, 11]], [0, 1]),
        sample([[0, 0, 64, 64]], [2]),
    ),
    'partly outside': (sample([[-20, -20, 20, 20]], [0]), OBJECT),
    'crowded': (sample([[i, i, i + 30, i + 30] for i in range(30)], [0] * 30), OBJECT),
}


@pytest.fixture(params=LOSSES)
def loss(request: pytest.FixtureRequest) -> nn.Module:
    return MODELS.build(dict(type=request.param))


def assert_finite(terms: dict[str, Tensor], batch: DensePredictions) -> None:
    for name, value in terms.items():
        assert 'loss' in name
        assert value.ndim == 0
        assert value.isfinite(), name
    for grad in gradients(terms, batch):
        assert grad.isfinite().all()


def test_there_are_losses_to_try() -> None:
    assert {'FreeAnchorLoss', 'RetinaLoss'} <= set(LOSSES)


@pytest.mark.parametrize('scene', SCENES)
@pytest.mark.parametrize('logit', [None, 30.0, -30.0, 1000.0, -1000.0])
def test_hard_inputs_are_finite(
    loss: nn.Module, scene: str, logit: float | None
) -> None:
    batch = predictions(logit=logit)
    assert_finite(loss(batch, objects(*SCENES[scene])), batch)


@pytest.mark.parametrize('scene', SCENES)
def test_fewer_anchors_than_a_bag_are_enough(loss: nn.Module, scene: str) -> None:
    batch = predictions(size=32, strides=(32,))  # 9 anchors
    assert_finite(loss(batch, objects(*SCENES[scene])), batch)


def test_every_prediction_stays_in_the_graph(loss: nn.Module) -> None:
    for scene in SCENES.values():
        batch = predictions()
        # Raises if a tensor was not used, as DistributedDataParallel would.
        gradients(loss(batch, objects(*scene)), batch)


def test_every_logit_learns(loss: nn.Module) -> None:
    batch = predictions(logit=-2.0)
    grads = gradients(loss(batch, objects(*SCENES['typical'])), batch)
    learning = flat(grads[: len(batch.logits)]).ne(0).float().mean()
    assert learning > 0.9  # a loss may leave out anchors between the classes


@pytest.mark.parametrize('box', [[30, 30, 32, 32], [0, 0, 64, 64], [1, 30, 63, 33]])
def test_tiny_huge_and_slender_objects_move_their_boxes(
    loss: nn.Module, box: list[float]
) -> None:
    batch = predictions(num_images=1, strides=(8, 16, 32))
    grads = gradients(loss(batch, objects(sample([box], [1]))), batch)
    assert flat(grads[len(batch.logits) :]).abs().max() > 1e-6


def test_the_order_of_objects_does_not_matter(loss: nn.Module) -> None:
    # Apart, because hard assignment gives a contested anchor to the later one.
    batch = predictions(num_images=1, strides=(8, 16, 32))
    boxes = torch.tensor([[2.0, 2, 34, 30], [40, 4, 62, 26], [20, 36, 50, 62]])
    labels = torch.tensor([0, 2, 0])
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(
        loss(batch, objects(sample(boxes, labels))),
        loss(batch, objects(sample(boxes[order], labels[order]))),
    )


def test_the_order_of_images_does_not_matter(loss: nn.Module) -> None:
    batch = predictions()
    swapped = DensePredictions(
        tuple(x.flip(0) for x in batch.logits),
        tuple(x.flip(0) for x in batch.deltas),
        batch.anchors,
        batch.coder,
    )
    first, second = SCENES['typical']
    torch.testing.assert_close(
        loss(batch, objects(first, second)), loss(swapped, objects(second, first))
    )


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_predictions_give_float32_losses(
    loss: nn.Module, dtype: torch.dtype
) -> None:
    batch = predictions(dtype=dtype, logit=7.0)
    terms = loss(batch, objects(*SCENES['typical']))
    for value in terms.values():
        assert value.dtype == torch.float32
    assert_finite(terms, batch)


def test_float64_predictions_give_float64_losses(loss: nn.Module) -> None:
    batch = predictions(dtype=torch.float64)
    for value in loss(batch, objects(*SCENES['typical'])).values():
        assert value.dtype == torch.float64
