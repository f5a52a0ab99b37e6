import pytest
import torch
from torch.testing import assert_close

from freeanchor.losses import FreeAnchorLoss, GIoUDistance, SmoothL1Distance
from tests.batches import flat, gradients, objects, predictions, sample
from tests.reference import decode, encode, exp, log, mean_max, numbers, sigmoid
from tests.reference import smooth_l1 as slow_smooth_l1

OBJECT = objects(sample([[6, 8, 40, 50]], [1]))
STDS = numbers([0.1, 0.1, 0.2, 0.2])


def giou(a: list, b: list) -> float:
    width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    union = sum(areas) - width * height
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return width * height / union - (hull - union) / hull


def test_distances_are_those_of_the_formulas() -> None:
    batch = predictions(num_images=1, dtype=torch.float64)
    anchor = torch.tensor([[0, 5, 100]])
    found = [
        distance(batch, OBJECT.boxes[:, None], torch.tensor([[0]]), anchor)[0]
        for distance in (SmoothL1Distance(0.11), GIoUDistance())
    ]
    box = numbers(OBJECT.boxes[0].tolist())
    for j, a in enumerate(anchor[0].tolist()):
        own = numbers(torch.cat(batch.anchors)[a].tolist())
        deltas = numbers(flat(batch.deltas)[0, a].tolist())
        l1 = slow_smooth_l1(deltas, encode(own, box, STDS), 0.11)
        assert found[0][j].item() == pytest.approx(float(l1), rel=1e-5)
        overlap = giou(decode(own, deltas, STDS), box)
        assert found[1][j].item() == pytest.approx(float(1 - overlap), rel=1e-6)


def test_free_anchor_takes_smooth_l1_unless_told() -> None:
    batch = predictions(num_images=1)
    named = dict(type='SmoothL1Distance', beta=0.3)
    assert_close(
        FreeAnchorLoss(beta=0.3)(batch, OBJECT),
        FreeAnchorLoss(localization=named)(batch, OBJECT),
        rtol=0,
        atol=0,
    )


def test_with_giou_the_positive_term_is_the_papers_with_that_likelihood() -> None:
    batch = predictions(num_images=1, dtype=torch.float64)
    loss = FreeAnchorLoss(
        bag_size=6, box_weight=2.0, localization=dict(type='GIoUDistance')
    )
    bag = loss.bags(torch.cat(batch.anchors), OBJECT.boxes)[0].tolist()
    box, members = numbers(OBJECT.boxes[0].tolist()), []
    for a in bag:
        own = numbers(torch.cat(batch.anchors)[a].tolist())
        predicted = decode(own, numbers(flat(batch.deltas)[0, a].tolist()), STDS)
        p_cls = sigmoid(numbers(flat(batch.logits)[0, a, 1].item()))
        members.append(p_cls * exp(-2 * (1 - giou(predicted, box))))
    terms = loss(batch, OBJECT)
    truth = -log(mean_max(members)) / 2
    assert terms['positive_bag_loss'].item() == pytest.approx(float(truth), rel=1e-6)


def test_an_object_that_nothing_finds_has_a_gradient() -> None:
    """No dead zone: probabilities of 1e-39 have no logarithm of their own."""
    for localization in (None, dict(type='GIoUDistance')):
        batch = predictions(num_images=1, logit=-90.0)
        loss = FreeAnchorLoss(localization=localization)
        terms = loss(batch, OBJECT)
        grads = gradients(dict(x=terms['positive_bag_loss']), batch)
        assert flat(grads[: len(batch.logits)]).sum() == pytest.approx(-0.5, rel=1e-3)
