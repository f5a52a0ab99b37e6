"""LTM against the formulas of its code, said again slowly."""

import pytest
import torch
from mpmath import exp, log, mpf
from torch import Tensor

from freeanchor.losses import LTMLoss
from freeanchor.losses.functional import negative_log_none
from freeanchor.structures import DensePredictions
from tests.batches import flat, objects, predictions, sample
from tests.reference import (
    decode,
    derivative,
    encode,
    iou,
    mean_max,
    numbers,
    sigmoid,
    smooth_l1,
)

# Two objects of a class share anchors; the third is of another class.
SCENE = (
    sample([[4, 6, 40, 44], [8, 8, 44, 40], [30, 2, 60, 62]], [0, 0, 2]),
    sample([[1, 30, 62, 50]], [1]),
)
STDS = numbers([0.1, 0.1, 0.2, 0.2])
SIZE, GAMMA, WEIGHT, BETA = 8, 2.0, 0.5, mpf(1) / 9


class Reference:
    """The three terms for a batch, by loops over lists of exact numbers."""

    def __init__(self, batch: DensePredictions) -> None:
        self.anchors = numbers(torch.cat(batch.anchors).tolist())
        self.deltas = numbers(flat(batch.deltas).tolist())
        self.bags, self.boxes = [], []
        for i, picture in enumerate(SCENE):
            found = picture.gt_instances
            for box, label in zip(found.bboxes.tolist(), found.labels.tolist()):
                box = numbers(box)
                rank = sorted(
                    range(len(self.anchors)), key=lambda a: -iou(box, self.anchors[a])
                )
                self.bags.append((i, label, rank[:SIZE]))
                self.boxes.append(box)
        self.fits = self._fits()

    def _fits(self) -> list[dict]:
        """Of each bag, by anchor: overlap over the best of the bag."""
        found = []
        for (i, _, bag), box in zip(self.bags, self.boxes):
            overlaps = [
                iou(box, decode(self.anchors[a], self.deltas[i][a], STDS)) for a in bag
            ]
            best = max(overlaps)
            found.append({a: x / best for a, x in zip(bag, overlaps)})
        return found

    def terms(self, logits: list) -> list:
        positive, negative, places = mpf(0), mpf(0), set()
        for (i, label, bag), box in zip(self.bags, self.boxes):
            probs = [sigmoid(logits[i][a][label]) for a in bag]
            p_loc = []
            for a in bag:
                target = encode(self.anchors[a], box, STDS)
                distance = smooth_l1(self.deltas[i][a], target, BETA)
                p_loc.append(exp(-WEIGHT * distance))
            positive -= log(mean_max([p * q for p, q in zip(probs, p_loc)]))
            q = [p * (1 - self.best_fit(i, label, a)) for p, a in zip(probs, bag)]
            weights = [x / (1 - x) ** 2 for x in q]
            negative -= log(1 - sum(w * x for w, x in zip(weights, q)) / sum(weights))
            places |= {(i, a, label) for a in bag}
        background = mpf(0)
        for i, rows in enumerate(logits):
            for a, scores in enumerate(rows):
                for label, x in enumerate(scores):
                    if (i, a, label) not in places:
                        background -= sigmoid(x) ** GAMMA * log(1 - sigmoid(x))
        number = len(self.bags)
        return [positive / number, negative / number, background / len(places)]

    def best_fit(self, image: int, label: int, anchor: int) -> mpf:
        return max(
            fits[anchor]
            for (i, y, bag), fits in zip(self.bags, self.fits)
            if (i, y) == (image, label) and anchor in bag
        )


@pytest.fixture
def batch() -> DensePredictions:
    return predictions(dtype=torch.float64)


def test_values_are_the_references(batch: DensePredictions) -> None:
    reference = Reference(batch)
    terms = LTMLoss(bag_size=SIZE)(batch, objects(*SCENE))
    theirs = reference.terms(numbers(flat(batch.logits).tolist()))
    for (name, value), truth in zip(terms.items(), theirs):
        assert value.item() == pytest.approx(float(truth), rel=1e-6), name


def test_gradients_in_the_logits_are_the_references(batch: DensePredictions) -> None:
    reference = Reference(batch)
    terms = LTMLoss(bag_size=SIZE)(batch, objects(*SCENE))
    grads = flat(torch.autograd.grad(sum(terms.values()), batch.logits))
    logits = numbers(flat(batch.logits).tolist())
    image, label, bag = reference.bags[0]
    for place in ((image, bag[0], label), (image, bag[1], label), (1, 0, 2)):
        truth = derivative(lambda x: sum(reference.terms(x)), logits, place)
        assert grads[place].item() == pytest.approx(float(truth), rel=1e-6)


def test_only_recall_moves_the_boxes(batch: DensePredictions) -> None:
    terms = LTMLoss(bag_size=SIZE)(batch, objects(*SCENE))

    def largest(name: str) -> Tensor:
        grads = torch.autograd.grad(terms[name], batch.deltas, retain_graph=True,
                                    allow_unused=True)  # fmt: skip
        return max(0 if x is None else x.abs().max() for x in grads)

    assert largest('positive_bag_loss') > 0
    assert largest('negative_bag_loss') == 0
    assert largest('background_loss') == 0


def test_the_best_box_of_a_bag_is_never_pushed_to_background() -> None:
    batch, truth = predictions(num_images=1, logit=3.0), objects(SCENE[1])
    loss = LTMLoss(bag_size=SIZE)
    bag, groups = loss.bags(batch, truth)
    fit = loss.fit(batch, truth, bag, groups)
    assert fit.max() == 1
    negative = loss(batch, truth)['negative_bag_loss']
    grads = flat(torch.autograd.grad(negative, batch.logits))[0, bag[0], 1]
    assert grads[fit[0].argmax()].abs() < 1e-5
    assert grads[fit[0].argmin()] > 1e-3


@pytest.mark.parametrize('odds', [-300.0, -30.0, 0.0, 30.0, 300.0])
def test_the_penalty_of_a_bag_of_equals_is_that_of_one(odds: float) -> None:
    bag = torch.full((5,), odds, dtype=torch.float64).requires_grad_()
    value = negative_log_none(bag)
    alone = -torch.nn.functional.logsigmoid(torch.tensor(-odds, dtype=torch.float64))
    torch.testing.assert_close(value, alone, rtol=1e-6, atol=0)
    assert torch.autograd.grad(value, bag)[0].isfinite().all()
