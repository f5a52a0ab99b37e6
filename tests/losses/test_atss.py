import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.testing import assert_close
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from freeanchor.boxes import DeltaBoxCoder
from freeanchor.losses import ATSSLoss
from freeanchor.losses.atss import centerness
from freeanchor.structures import DensePredictions, Objects, Regions
from tests.batches import flat, gradients, objects, predictions, sample
from tests.processes import run_on_processes

SCENE = (
    sample([[3, 5, 41, 44], [7, 9, 45, 40], [30, 2, 60, 62]], [0, 0, 2]),
    sample([[1, 30, 62, 51]], [1], ignored=[[0, 0, 40, 28]]),
)
EMPTY = sample([], [])
STRIDES = (8, 16, 32)
TERMS = ('loss_cls', 'loss_bbox', 'loss_quality')


def one_anchor(**kwargs: Any) -> DensePredictions:
    return predictions(
        strides=STRIDES, dtype=torch.float64, ratios=[1.0], scales_per_octave=1,
        octave_base_scale=4, **kwargs,
    )  # fmt: skip


def textbook(
    batch: DensePredictions, truth: Objects, loss: ATSSLoss
) -> dict[str, Tensor]:
    """The terms from dense targets, an anchor at a time."""
    found = loss.match(batch, truth)
    anchors = torch.cat(batch.anchors).double()
    logits, deltas, quality = map(flat, (batch.logits, batch.deltas, batch.quality))
    target = torch.zeros_like(logits)
    overlap, weight, cost, num_positive = [], [], [], [0] * len(truth.counts)
    for g, n in found.positive.nonzero().tolist():
        image, anchor = int(truth.image[g]), int(found.anchor[g, n])
        target[image, anchor, truth.labels[g]] = 1
        num_positive[image] += 1
        box, own = truth.boxes[g].double(), anchors[anchor]
        left, top = ((own[:2] + own[2:]) / 2 - box[:2]).tolist()
        right, bottom = (box[2:] - (own[:2] + own[2:]) / 2).tolist()
        sides = min(left, right) / max(left, right), min(top, bottom) / max(top, bottom)
        weight.append(math.sqrt(sides[0] * sides[1]))
        decoded = batch.coder.decode(own, deltas[image, anchor])
        overlap.append(generalized_box_iou_loss(decoded, box) * weight[-1])
        central = torch.tensor(weight[-1], dtype=torch.float64)
        x = quality[image, anchor, 0]
        cost.append(F.binary_cross_entropy_with_logits(x, central))
    focal = sigmoid_focal_loss(logits, target, loss.alpha, loss.gamma)
    focal = focal * (found.counted[..., None] | target.any(dim=2, keepdim=True))
    divisor = sum(max(1, n) for n in num_positive)
    return dict(
        loss_cls=focal.sum() / divisor,
        loss_bbox=loss.box_weight * sum(overlap) / max(1.0, sum(weight)),
        loss_quality=loss.quality_weight * sum(cost) / divisor,
    )


@pytest.mark.parametrize(
    'settings',
    [
        {},
        dict(topk=3, alpha=0.4, gamma=1.5, box_weight=1.0, quality_weight=0.5),
        dict(ignore_iof_thr=0.5),
    ],
)
def test_values_and_gradients_are_the_textbooks(settings: dict) -> None:
    torch.manual_seed(0)
    batch, truth = one_anchor(with_quality=True), objects(*SCENE)
    loss = ATSSLoss(**settings)
    ours, theirs = loss(batch, truth), textbook(batch, truth, loss)
    assert_close(ours, theirs, rtol=1e-6, atol=0)
    for x, y in zip(gradients(ours, batch), gradients(theirs, batch), strict=True):
        assert_close(x, y, rtol=1e-5, atol=1e-9)


def test_ignored_regions_take_out_background_and_no_positive() -> None:
    covering = sample([[1, 30, 62, 51]], [1], ignored=[[-99, -99, 199, 199]])
    batch = one_anchor(num_images=1, with_quality=True)
    loss = ATSSLoss(ignore_iof_thr=0.5)
    truth = objects(covering)
    found = loss.match(batch, truth)
    grads = gradients(loss(batch, truth), batch)
    learning = flat(grads[: len(batch.logits)])[0].ne(0).any(dim=1)
    expected = torch.zeros_like(learning)
    expected[found.anchor[found.positive]] = True
    assert expected.any()
    assert torch.equal(learning, expected)


def test_a_head_without_a_quality_branch_has_the_other_terms_alone() -> None:
    batch, truth = one_anchor(with_quality=True), objects(*SCENE)
    without = DensePredictions(batch.logits, batch.deltas, batch.anchors, batch.coder)
    terms, fewer = ATSSLoss()(batch, truth), ATSSLoss()(without, truth)
    assert set(terms) - set(fewer) == {'loss_quality'}
    assert_close(fewer, {name: terms[name] for name in fewer})


def test_nine_anchors_a_position_are_all_candidates() -> None:
    batch, truth = predictions(strides=STRIDES), objects(*SCENE)
    found = ATSSLoss(topk=4).match(batch, truth)
    assert found.anchor.shape == (len(truth), 4 * 9 * len(STRIDES))
    assert found.positive.any(dim=1).all()


def test_counts_of_images_add_up_to_those_of_the_batch() -> None:
    batch = one_anchor(with_quality=True)
    loss = ATSSLoss()
    together = loss.counts(batch, objects(*SCENE))
    alone = one_anchor(num_images=1, with_quality=True)
    parts = [loss.counts(alone, objects(x)) for x in SCENE]
    assert set(together) == set(loss(batch, objects(*SCENE)))
    for name, count in together.items():
        assert_close(count, sum(x[name] for x in parts))


def test_terms_times_counts_are_sums_over_images() -> None:
    batch, loss = one_anchor(with_quality=True), ATSSLoss()
    whole = loss(batch, objects(*SCENE))
    totals: dict[str, Any] = dict.fromkeys(whole, 0.0)
    for i, own in enumerate(SCENE):
        part = DensePredictions(
            tuple(x[i : i + 1] for x in batch.logits),
            tuple(x[i : i + 1] for x in batch.deltas),
            batch.anchors,
            batch.coder,
            tuple(x[i : i + 1] for x in batch.quality),
        )
        counts = loss.counts(part, objects(own))
        for name, value in loss(part, objects(own)).items():
            totals[name] += value * max(counts[name], 1)
    counts = loss.counts(batch, objects(*SCENE))
    for name, value in whole.items():
        assert_close(value * max(counts[name], 1), totals[name])


def test_centerness_is_one_in_the_middle_and_zero_from_the_border_on() -> None:
    box = torch.tensor([10.0, 10.0, 30.0, 50.0])
    centres = torch.tensor([[20.0, 30.0], [10.0, 30.0], [15.0, 30.0], [0.0, 30.0]])
    anchors = torch.cat([centres - 4, centres + 4], dim=1)
    assert_close(
        centerness(anchors, box), torch.tensor([1.0, 0.0, (5 / 15) ** 0.5, 0.0])
    )


def _losses_of_a_share(rank: int, _: int) -> list[float]:
    """Those of one of two processes, with one image of the scene each."""
    torch.manual_seed(0)
    whole = one_anchor(with_quality=True)
    own = slice(rank, rank + 1)
    share = DensePredictions(
        tuple(x[own] for x in whole.logits),
        tuple(x[own] for x in whole.deltas),
        whole.anchors,
        whole.coder,
        tuple(x[own] for x in whole.quality),
    )
    terms = ATSSLoss()(share, objects((SCENE[0], EMPTY)[rank]))
    return [terms[name].item() for name in TERMS]


def test_two_processes_are_one_batch() -> None:
    shares = torch.tensor(run_on_processes(_losses_of_a_share, 2)).double()
    torch.manual_seed(0)
    terms = ATSSLoss()(one_anchor(with_quality=True), objects(SCENE[0], EMPTY))
    whole = torch.stack([terms[name].detach() for name in TERMS])
    assert_close(shares.mean(dim=0), whole, rtol=1e-6, atol=0)


@pytest.mark.skipif(torch.__version__ < '2.7', reason='fake CUDA needs a driver here')
@pytest.mark.parametrize('ignore_iof_thr', [None, 0.5])
def test_the_loss_never_waits_for_a_gpu(
    ignore_iof_thr: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tensors without data refuse whatever depends on values."""
    for place in ('losses.background', 'losses.entries'):  # kernels need data
        monkeypatch.setattr(f'freeanchor.{place}.can_fuse', lambda x: False)
    with FakeTensorMode():
        row = torch.zeros(3, device='cuda', dtype=torch.long)
        batch = DensePredictions(
            (torch.zeros(2, 16, 1, 3, device='cuda', requires_grad=True),),
            (torch.zeros(2, 16, 1, 4, device='cuda', requires_grad=True),),
            (torch.zeros(16, 4, device='cuda'),),
            DeltaBoxCoder(),
            (torch.zeros(2, 16, 1, 1, device='cuda', requires_grad=True),),
        )
        truth = Objects(
            boxes=torch.ones(3, 4, device='cuda'), labels=row, image=row,
            counts=(3, 0), pad_shapes=((64, 64), (64, 48)),
            ignored=Regions(torch.ones(2, 4, device='cuda'), row[:2]),
        )  # fmt: skip
        terms = ATSSLoss(ignore_iof_thr=ignore_iof_thr)(batch, truth)
        assert all(x.device.type == 'cuda' for x in terms.values())
        with pytest.raises(DataDependentOutputException):
            terms['loss_cls'].item()
