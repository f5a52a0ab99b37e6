"""The kernels for GPUs against the plain forms.

    TRITON_INTERPRET=1 python -m pytest tests/losses/kernels/interpreted.py

Triton is interpreted from its import on or not at all, so these tests have a
process of their own; test_triton.py starts it.
"""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from freeanchor.boxes import (
    AnchorGenerator,
    DeltaBoxCoder,
    pairwise_iou,
    triton_search,
)
from freeanchor.losses import FreeAnchorLoss, RetinaLoss
from freeanchor.losses.entries import Entries
from freeanchor.structures import DensePredictions, Objects
from tests.batches import objects, sample

FORMATS = [torch.contiguous_format, torch.channels_last]
FIRST, SECOND = [4.3, 6.1, 40.7, 44.2], [7.9, 8.4, 45.3, 40.6]
SCENES = {
    'of several classes': objects(
        sample([FIRST, SECOND, [30.2, 2.7, 60.9, 62.3]], [2, 0, 2]),
        sample([[1.1, 30.6, 62.8, 50.3]], [1]),
    ),
    'the same box twice': objects(
        sample([FIRST] * 2, [1, 1]), sample([SECOND] * 2, [0, 1])
    ),
    'one image without objects': objects(
        sample([], []), sample([SECOND], [1], ignored=[[0, 0, 30, 64]])
    ),
    'no objects': objects(sample([], []), sample([], [])),
}
LOSSES = [
    FreeAnchorLoss(bag_size=9),
    FreeAnchorLoss(bag_size=40, iou_thr=0.3, gamma=1.5, beta=0.0, ignore_iof_thr=0.4),
    RetinaLoss(),
    RetinaLoss(gamma=1.0, ignore_iof_thr=0.4),
]


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    # Not boxes.search: of equally good anchors, it may put others into a bag.
    for place in ('losses.background', 'losses.entries'):
        monkeypatch.setattr(f'freeanchor.{place}.can_fuse', lambda x: True)
    return monkeypatch


def maps_near(scene: Objects, memory_format: torch.memory_format) -> list[Tensor]:
    """Maps of two levels whose boxes fit an object here and there."""
    torch.manual_seed(0)
    truth = scene.boxes[:1] if len(scene) else torch.tensor([[8.0, 8, 40, 40]])
    found = []
    for anchors, side in zip(ANCHORS, (4, 2)):
        logits = 2 * torch.randn(2, 9 * 3, side, side) - 2
        exact = CODER.encode(anchors, truth).reshape(side, side, 36).permute(2, 0, 1)
        deltas = exact + 0.5 * torch.randn(2, 36, side, side)
        found += [x.contiguous(memory_format=memory_format) for x in (logits, deltas)]
    return found


ANCHORS = AnchorGenerator((16, 32))([(4, 4), (2, 2)])
CODER = DeltaBoxCoder((0.1, 0.1, 0.2, 0.2))


def terms_and_gradients(
    loss: torch.nn.Module, maps: list[Tensor], scene: Objects
) -> tuple[dict[str, Tensor], list[Tensor]]:
    leaves = [x.detach().requires_grad_() for x in maps]
    batch = DensePredictions.from_maps(leaves[::2], leaves[1::2], ANCHORS, CODER)
    terms = loss(batch, scene)
    return terms, list(torch.autograd.grad(sum(terms.values()), leaves))


@pytest.mark.usefixtures('fused')
@pytest.mark.parametrize('memory_format', FORMATS)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('scene', SCENES)
@pytest.mark.parametrize('loss', LOSSES, ids=lambda x: f'{type(x).__name__}{x.gamma}')
def test_losses_are_the_plain_ones(
    memory_format: torch.memory_format,
    dtype: torch.dtype,
    scene: str,
    loss: torch.nn.Module,
    fused: pytest.MonkeyPatch,
) -> None:
    maps = [x.to(dtype) for x in maps_near(SCENES[scene], memory_format)]
    terms, grads = terms_and_gradients(loss, maps, SCENES[scene])
    fused.undo()
    plain_terms, plain_grads = terms_and_gradients(loss, maps, SCENES[scene])
    for name, value in terms.items():
        assert_close(value, plain_terms[name], rtol=2e-6, atol=1e-7)
    for grad, plain, leaf in zip(grads, plain_grads, maps):
        assert grad.dtype == dtype
        assert grad.is_contiguous(memory_format=memory_format) or leaf.shape[-1] == 1
        rounding = 2e-6 if dtype == torch.float32 else 1e-2
        assert (grad - plain).abs().max() <= rounding * plain.abs().max()


def test_the_scenes_hold_matches_of_several_objects() -> None:
    scene = SCENES['of several classes']
    maps = maps_near(scene, torch.contiguous_format)
    batch = DensePredictions.from_maps(maps[::2], maps[1::2], ANCHORS, CODER)
    assert len(FreeAnchorLoss(iou_thr=0.3).matches(batch, scene).prob) > 50


@pytest.mark.usefixtures('fused')
@pytest.mark.parametrize('logit', [30.0, -30.0, 1000.0, -1000.0])
def test_hard_logits_are_finite(logit: float) -> None:
    scene = SCENES['of several classes']
    maps = maps_near(scene, torch.contiguous_format)
    maps[::2] = [torch.full_like(x, logit) for x in maps[::2]]
    terms, grads = terms_and_gradients(FreeAnchorLoss(bag_size=9), maps, scene)
    for value in [*terms.values(), *grads]:
        assert value.isfinite().all()


@pytest.mark.usefixtures('fused')
def test_entries_read_twice_get_both_gradients() -> None:
    from freeanchor.losses.entries import read_entries

    levels = [torch.randn(2, 5, 3, 4, requires_grad=True) for _ in range(2)]
    place = torch.tensor([0, 1, 1]), torch.tensor([2, 29, 29])
    for entries in (Entries(*place), Entries(*place, torch.tensor([3, 1, 1]))):
        ours, plain = read_entries(levels, entries), entries.read(levels)
        assert torch.equal(ours, plain)
        weight = torch.rand_like(plain)
        assert_close(
            torch.autograd.grad((ours * weight).sum(), levels),
            torch.autograd.grad((plain * weight).sum(), levels),
        )


@pytest.mark.parametrize('number', [1, 9, 50])
def test_the_best_boxes_are_as_good_as_any(number: int) -> None:
    torch.manual_seed(0)
    corner = 250 * torch.rand(21, 2)
    own = torch.cat([corner, corner + 2 + 90 * torch.rand(21, 2)], dim=1)
    boxes = torch.cat(AnchorGenerator((16, 32))([(9, 16), (5, 8)]))
    ious = pairwise_iou(own, boxes)
    found = ious.gather(1, triton_search.most_overlapping(boxes, own, number))
    assert_close(found.sort(descending=True).values, ious.topk(number).values)
