import copy

import pytest
import torch
from mpmath import mp
from torch.testing import assert_close

from freeanchor.losses import FreeAnchorLoss
from freeanchor.structures import DensePredictions, Objects
from tests.batches import flat, gradients, objects, predictions, sample
from tests.processes import run_on_processes
from tests.reference import FreeAnchorReference, derivative, numbers

SCENE = (
    sample([[4, 6, 40, 44], [8, 8, 44, 40], [30, 2, 60, 62]], [0, 0, 2]),
    sample([[1, 30, 62, 50]], [1]),
)


class Pair:
    """Our loss and the reference on the same batch."""

    def __init__(self, batch: DensePredictions, **settings: float) -> None:
        self.batch, truth = batch, objects(*SCENE)
        self.terms = FreeAnchorLoss(bag_size=8, **settings)(batch, truth)
        rows = [
            list(zip(x.gt_instances.bboxes.tolist(), x.gt_instances.labels.tolist()))
            for x in SCENE
        ]
        anchors = torch.cat(batch.anchors).tolist()
        self.reference = FreeAnchorReference(anchors, rows, bag_size=8, **settings)
        self.logits = numbers(flat(batch.logits).tolist())
        self.deltas = numbers(flat(batch.deltas).tolist())

    def match(self) -> list:
        return self.reference.match(self.deltas, num_classes=3)


def near_truth(dtype: torch.dtype, **kwargs: float) -> DensePredictions:
    """Deltas that put some boxes right onto objects, so that matches exist."""
    batch = predictions(dtype=dtype, **kwargs)
    anchors = torch.cat(batch.anchors)
    counts = [len(x) for x in batch.anchors]
    truth = torch.stack(
        [SCENE[0].gt_instances.bboxes[0], SCENE[1].gt_instances.bboxes[0]]
    )
    exact = batch.coder.encode(anchors, truth[:, None]).to(dtype)  # (B, A, 4)
    noise = torch.randn(exact.shape, dtype=torch.float64).to(dtype) * 0.6
    levels = zip(batch.deltas, (exact + noise).split(counts, dim=1))
    deltas = [x.reshape(like.shape).requires_grad_() for like, x in levels]
    return DensePredictions(batch.logits, tuple(deltas), batch.anchors, batch.coder)


@pytest.mark.parametrize('logit', [None, 30.0, -30.0, 1000.0])
@pytest.mark.parametrize(
    'settings', [{}, dict(iou_thr=0.4, gamma=1.5, alpha=0.25, box_weight=2.0, beta=1.0)]
)
def test_values_are_the_references(logit: float | None, settings: dict) -> None:
    with mp.workdps(450 if logit == 1000 else mp.dps):  # 1 - p is 1e-435
        pair = Pair(near_truth(torch.float64, logit=logit), **settings)
        positive = pair.reference.positive(pair.logits, pair.deltas)
        negative = pair.reference.negative(pair.logits, pair.match())
    assert pair.terms['positive_bag_loss'].item() == pytest.approx(
        float(positive), rel=1e-6
    )
    assert pair.terms['negative_bag_loss'].item() == pytest.approx(
        float(negative), rel=1e-6
    )


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('logit', [None, 30.0, -30.0])
def test_gradients_are_the_references(logit: float | None, dtype: torch.dtype) -> None:
    pair = Pair(near_truth(dtype, logit=logit))
    match = pair.match()
    rel = 1e-6 if dtype == torch.float64 else 1e-3
    logit_grads = _grads(pair.terms, pair.batch.logits)
    delta_grads = _grads(pair.terms, pair.batch.deltas)
    box, label = SCENE[0].gt_instances.bboxes[0], 0
    for a in pair.reference.bag(numbers(box.tolist()))[:2]:
        total = derivative(
            lambda x: (
                pair.reference.positive(x, pair.deltas)
                + pair.reference.negative(x, match)
            ),
            pair.logits,
            (0, a, label),
        )
        ours = logit_grads[0, a, label].item()
        assert ours == pytest.approx(float(total), rel=rel, abs=1e-12)
        of_delta = derivative(
            lambda x: pair.reference.positive(pair.logits, x), pair.deltas, (0, a, 2)
        )
        assert delta_grads[0, a, 2].item() == pytest.approx(
            float(of_delta), rel=rel, abs=1e-12
        )


def _grads(terms: dict, leaves: tuple) -> torch.Tensor:
    return flat(torch.autograd.grad(sum(terms.values()), leaves, retain_graph=True))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_read_in_float32(dtype: torch.dtype) -> None:
    batch = near_truth(torch.float32)
    assert len(FreeAnchorLoss().matches(batch, objects(*SCENE)).prob) > 20

    def terms_and_gradients(logits: list[torch.Tensor]) -> tuple:
        given = DensePredictions(
            tuple(logits), batch.deltas, batch.anchors, batch.coder
        )
        terms = FreeAnchorLoss()(given, objects(*SCENE))
        return terms, torch.autograd.grad(sum(terms.values()), logits)

    half = [x.detach().to(dtype).requires_grad_() for x in batch.logits]
    same = [x.detach().float().requires_grad_() for x in half]
    terms, grads = terms_and_gradients(half)
    exact_terms, exact_grads = terms_and_gradients(same)
    assert_close(terms, exact_terms, rtol=1e-6, atol=0)
    for grad, exact in zip(grads, exact_grads):
        assert_close(grad, exact.to(dtype))


def test_background_in_a_crowd_costs_nothing_once_masked() -> None:
    batch = predictions(num_images=2)
    everywhere = [[-500.0, -500.0, 500.0, 500.0]]
    scene = objects(SCENE[0], sample([], [], ignored=everywhere))
    as_background = FreeAnchorLoss()(batch, scene)
    masked = FreeAnchorLoss(ignore_iof_thr=0.5)(batch, scene)
    assert_close(as_background['positive_bag_loss'], masked['positive_bag_loss'])
    grads = gradients(masked, batch)
    for grad in grads[: len(batch.logits)]:
        assert grad[0].abs().sum() > 0
        assert grad[1].abs().sum() == 0
    assert masked['negative_bag_loss'] < as_background['negative_bag_loss']


def test_a_crowd_masks_only_the_anchors_inside_it() -> None:
    batch = predictions(num_images=1)
    crowd = [-10.0, -10.0, 30.0, 30.0]
    loss = FreeAnchorLoss(ignore_iof_thr=0.5)(
        batch, objects(sample([], [], ignored=[crowd]))
    )
    grads = flat(gradients(loss, batch)[: len(batch.logits)])[0]
    anchors = torch.cat(batch.anchors)
    for anchor, grad in zip(anchors, grads):
        width = (anchor[2].clamp(max=30) - anchor[0].clamp(min=-10)).clamp(min=0)
        height = (anchor[3].clamp(max=30) - anchor[1].clamp(min=-10)).clamp(min=0)
        share = width * height / ((anchor[2] - anchor[0]) * (anchor[3] - anchor[1]))
        assert (grad.abs().sum() == 0) == bool(share > 0.5)


def test_without_a_threshold_a_crowd_is_background() -> None:
    batch = predictions(num_images=1)
    crowd = sample([], [], ignored=[[0.0, 0.0, 64.0, 64.0]])
    assert_close(
        FreeAnchorLoss()(batch, objects(crowd)),
        FreeAnchorLoss()(batch, objects(sample([], []))),
    )


def test_the_normalizers_are_the_objects_and_the_members_of_their_bags() -> None:
    batch = predictions(num_images=1)
    one = objects(sample([[8, 8, 40, 40]], [1]))
    nothing = objects(sample([], []))
    loss = FreeAnchorLoss(bag_size=50, iou_thr=0.999)
    assert_close(
        loss(batch, one)['negative_bag_loss'] * 50,
        loss(batch, nothing)['negative_bag_loss'],
        rtol=1e-3,
        atol=0,
    )


def _losses_of_a_share(rank: int, processes: int) -> tuple[float, float]:
    """What one process sees of a batch of two images."""
    torch.manual_seed(0)
    batch, own = copy.deepcopy(predictions(num_images=2)), slice(rank, rank + 1)
    share = DensePredictions(
        tuple(x[own] for x in batch.logits),
        tuple(x[own] for x in batch.deltas),
        batch.anchors,
        batch.coder,
    )
    terms = FreeAnchorLoss(global_normalizer=True)(share, objects(SCENE[rank]))
    return terms['positive_bag_loss'].item(), terms['negative_bag_loss'].item()


def test_a_global_normalizer_makes_two_processes_one_batch() -> None:
    shares = torch.tensor(run_on_processes(_losses_of_a_share, 2))
    torch.manual_seed(0)
    terms = FreeAnchorLoss()(predictions(num_images=2), objects(*SCENE))
    assert_close(shares.mean(dim=0), torch.stack(list(terms.values())).detach())


def test_a_global_normalizer_alone_is_the_local_one() -> None:
    batch, scene = predictions(), objects(*SCENE)
    assert_close(
        FreeAnchorLoss(global_normalizer=True)(batch, scene),
        FreeAnchorLoss()(batch, scene),
    )


def test_the_best_of_several_objects_of_a_class_counts() -> None:
    batch = near_truth(torch.float32)
    both = Objects.gather(SCENE)
    matches = FreeAnchorLoss(iou_thr=0.3).matches(batch, both)
    keys = torch.stack(matches[:3], dim=1)
    assert len(keys.unique(dim=0)) == len(keys)
    assert matches.prob.max() == pytest.approx(1)
