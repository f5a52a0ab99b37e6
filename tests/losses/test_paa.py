import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou, generalized_box_iou, sigmoid_focal_loss

from freeanchor.losses import PAALoss
from freeanchor.losses.paa import are_good
from freeanchor.structures import DensePredictions, Objects
from tests.batches import flat, gradients, objects, predictions, sample

EMPTY = sample([], [])
FIRST = sample([[8, 8, 40, 40]], [1])
SECOND = sample([[4, 6, 40, 44], [30, 2, 60, 62]], [0, 2])


def good(costs: list[float]) -> list[float]:
    row = torch.tensor([costs])
    return row[are_good(row, torch.ones_like(row, dtype=torch.bool))].tolist()


def test_of_two_clear_groups_the_cheap_up_to_the_densest_are_good() -> None:
    cheap, dear = [1.0, 1.1, 1.2, 1.3, 1.4], [5.0, 5.1, 5.2, 5.3, 5.4, 5.5]
    assert good(cheap + dear) == pytest.approx([1.0, 1.1, 1.2])


def test_a_single_candidate_is_not_good() -> None:
    assert good([0.5]) == []


def test_the_cheaper_of_two_candidates_is_good() -> None:
    assert good([2.0, 1.0]) == [1.0]


def test_candidates_that_cost_the_same_are_all_good() -> None:
    assert good([1.5] * 7) == [1.5] * 7


def test_what_is_not_there_is_not_good_and_changes_nothing() -> None:
    costs = torch.tensor([[1.0, 0.0, 1.2, 4.0, 0.0, 4.4, 4.2]])
    present = costs > 0
    found = are_good(costs, present)
    assert not found[~present].any()
    own = costs[present][None]
    alone = are_good(own, torch.ones_like(own, dtype=torch.bool))
    assert torch.equal(found[present], alone[0])


@pytest.mark.parametrize('cost', [torch.nan, torch.inf])
def test_costs_that_are_no_numbers_spoil_their_own_object_only(cost: float) -> None:
    costs = torch.tensor([[1.0, 1.1, 4.0, 4.1], [1.0, 1.1, 4.0, cost]])
    present = torch.ones_like(costs, dtype=torch.bool)
    assert torch.equal(are_good(costs, present)[0], are_good(costs[:1], present[:1])[0])


def setup(**settings: float) -> tuple[PAALoss, DensePredictions, Objects]:
    batch = predictions(
        dtype=torch.float64, strides=(8, 16, 32), with_quality=True, num_images=3
    )
    return PAALoss(**settings), batch, objects(FIRST, EMPTY, SECOND)


def labels_and_targets(
    loss: PAALoss, batch: DensePredictions, truth: Objects
) -> tuple[Tensor, Tensor, Tensor]:
    """One-hot classes ``(B, A, C)``, and boxes and places of the positives."""
    candidates = loss.candidates(batch, truth)
    image, anchor = loss.positives(batch, truth, candidates)
    matched = candidates[image, anchor]
    classes = torch.zeros_like(flat(batch.logits))
    classes[image, anchor, truth.labels[matched]] = 1
    return classes, truth.boxes[matched].double(), torch.stack([image, anchor])


def test_the_terms_are_focal_loss_giou_and_cross_entropy() -> None:
    loss, batch, truth = setup(alpha=0.3, gamma=1.5, box_weight=1.7, quality_weight=0.4)
    classes, targets, places = labels_and_targets(loss, batch, truth)
    found = loss(batch, truth)
    number = len(targets)
    assert number > 3
    focal = sigmoid_focal_loss(flat(batch.logits), classes, alpha=0.3, gamma=1.5)
    torch.testing.assert_close(found['loss_cls'], focal.sum() / number)

    boxes = torch.stack([batch.boxes(i) for i in range(3)])[tuple(places)]
    iou = box_iou(boxes, targets).diag().detach()
    cost = 1 - generalized_box_iou(boxes, targets).diag()
    torch.testing.assert_close(found['loss_bbox'], 1.7 * (iou * cost).sum() / iou.sum())
    quality = flat(batch.quality)[..., 0][tuple(places)].sigmoid()
    entropy = -(iou * quality.log() + (1 - iou) * (1 - quality).log())
    torch.testing.assert_close(found['loss_quality'], 0.4 * entropy.sum() / number)


def test_the_costs_of_candidates_are_their_losses_as_positives() -> None:
    loss, batch, truth = setup()
    candidates = loss.candidates(batch, truth)
    image, anchor = (candidates >= 0).nonzero(as_tuple=True)
    object_ = candidates[image, anchor]
    found = loss.costs(batch, truth, image, anchor, object_)
    classes = torch.nn.functional.one_hot(truth.labels[object_], 3).double()
    logits = flat(batch.logits)[image, anchor]
    focal = sigmoid_focal_loss(logits, classes, alpha=0.25, gamma=2.0).sum(dim=1)
    boxes = torch.stack([batch.boxes(i) for i in range(3)])[image, anchor]
    giou = generalized_box_iou(boxes, truth.boxes[object_].double()).diag()
    torch.testing.assert_close(found, (focal + 1.3 * (1 - giou)).detach())


def test_positives_are_among_the_topk_of_their_level() -> None:
    loss, batch, truth = setup(topk=2)
    candidates = loss.candidates(batch, truth)
    image, anchor = loss.positives(batch, truth, candidates)
    start = 0
    for anchors in batch.anchors:
        own = (anchor >= start) & (anchor < start + len(anchors))
        matched = candidates[image[own], anchor[own]]
        assert (matched.bincount() <= 2).all()
        start += len(anchors)


def test_a_head_without_quality_has_no_term_for_it() -> None:
    loss, truth = PAALoss(), objects(FIRST, SECOND)
    assert set(loss(predictions(), truth)) == {'loss_cls', 'loss_bbox'}


def test_a_batch_without_objects_has_background_alone() -> None:
    loss, batch = PAALoss(), predictions(with_quality=True)
    terms = loss(batch, objects(EMPTY, EMPTY))
    assert terms['loss_bbox'] == terms['loss_quality'] == 0
    everything = sigmoid_focal_loss(
        flat(batch.logits), torch.zeros_like(flat(batch.logits)), alpha=0.25
    )
    torch.testing.assert_close(terms['loss_cls'], everything.sum() / 2)


def test_negatives_in_an_ignored_region_have_no_gradient_and_positives_do() -> None:
    torch.manual_seed(0)
    batch = predictions(num_images=1, strides=(8, 16, 32), with_quality=True)
    everywhere = sample([[8, 8, 40, 40]], [1], ignored=[[-300, -300, 400, 400]])
    truth = objects(everywhere)
    loss = PAALoss(ignore_iof_thr=0.5)
    image, anchor = loss.positives(batch, truth, loss.candidates(batch, truth))
    grads = gradients(loss(batch, truth), batch)
    learning = flat(grads[:3]).ne(0).any(dim=2)
    assert len(anchor) > 0
    assert learning[image, anchor].all()
    assert learning.sum() == len(anchor)


def test_candidates_that_are_no_positives_are_background() -> None:
    loss, batch, truth = setup()
    candidates = loss.candidates(batch, truth)
    rejected = candidates >= 0
    rejected[loss.positives(batch, truth, candidates)] = False
    assert rejected.any()
    grads = gradients(loss(batch, truth), batch)
    assert (flat(grads[:3])[rejected] > 0).all()  # all scores should fall


def test_it_is_no_sum_over_images_and_says_so() -> None:
    loss, batch, truth = setup()
    with pytest.raises(NotImplementedError):
        loss.counts(batch, truth)
