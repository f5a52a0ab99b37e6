"""What is shown of the matching is what the loss computes."""

import pytest
import torch

from freeanchor.boxes import pairwise_iou
from freeanchor.losses import FreeAnchorLoss, RetinaLoss
from freeanchor.losses.bag_view import BagView, scaled, view_bags
from freeanchor.losses.functional import saturated_linear

from ..batches import flat, objects, predictions, sample

BOXES = [[4.0, 6.0, 30.0, 40.0], [28.0, 10.0, 60.0, 44.0]]


def truth():
    """Two objects of one class, and one in another image."""
    return objects(sample(BOXES, [1, 1]), sample([[10.0, 10.0, 50.0, 60.0]], [2]))


@pytest.fixture
def batch():
    return predictions(dtype=torch.float64)


@pytest.fixture
def loss() -> FreeAnchorLoss:
    return FreeAnchorLoss(bag_size=10, iou_thr=0.1)


@pytest.fixture
def views(batch, loss) -> list[BagView]:
    return view_bags(loss, batch, truth())


def test_there_is_a_view_of_each_object_in_order(views):
    assert [view.label for view in views] == [1, 1, 2]
    for view, box in zip(views, truth().boxes):
        torch.testing.assert_close(view.box, box)


def test_the_bag_has_the_anchors_that_overlap_most(batch, views):
    anchors = torch.cat(batch.anchors)
    for view in views:
        overlaps = pairwise_iou(view.box[None], anchors)[0]
        best = overlaps.topk(10).values
        torch.testing.assert_close(view.overlaps.sort(descending=True).values, best)
        again = pairwise_iou(view.box[None], view.anchors)[0]
        torch.testing.assert_close(view.overlaps, again)


def test_shares_in_mean_max_are_its_weights(views):
    for view in views:
        found = view.p_cls * view.p_loc
        weights = 1 / (1 - found)
        torch.testing.assert_close(view.weights, weights / weights.sum())
        assert view.mean_max == pytest.approx(float((view.weights * found).sum()))


def test_the_positive_loss_is_that_of_the_mean_max_shown(batch, loss, views):
    cost = -torch.tensor([view.mean_max for view in views]).log().mean() * loss.alpha
    terms = loss(batch, truth())
    torch.testing.assert_close(
        cost, terms['positive_bag_loss'].float(), rtol=1e-5, atol=1e-6
    )


def test_p_cls_is_the_probability_of_the_objects_class(batch, views):
    anchors = torch.cat(batch.anchors)
    probs = flat(batch.logits).sigmoid()
    for view, image in zip(views, truth().image):
        rows = [int((anchors == box).all(1).nonzero()[0]) for box in view.anchors]
        torch.testing.assert_close(view.p_cls, probs[image, rows, view.label])


def test_each_object_has_its_own_claims(batch, loss, views):
    own = truth()
    for row, view in enumerate(views):
        boxes = batch.boxes(int(own.image[row]))
        overlaps = pairwise_iou(own.boxes[row : row + 1].to(boxes.dtype), boxes)
        expected = saturated_linear(overlaps, loss.iou_thr)[0]
        claiming = expected > 0
        assert claiming.any()
        torch.testing.assert_close(view.claims, expected[claiming])
        torch.testing.assert_close(view.claimed, boxes[claiming])
        torch.testing.assert_close(view.claiming, torch.cat(batch.anchors)[claiming])


def test_the_rule_of_overlap_is_retinanets(batch, views):
    own = truth()
    assigned = RetinaLoss().assign(batch, own)
    for row, view in enumerate(views):
        number = int((assigned[own.image[row]] == row).sum())
        assert len(view.by_overlap) == number > 0


def test_a_batch_without_objects_has_no_views(batch, loss):
    assert view_bags(loss, batch, objects(sample([], []), sample([], []))) == []


def test_scaling_moves_boxes_and_no_probability(views):
    view = scaled(views[0], (2.0, 3.0))
    torch.testing.assert_close(view.box, views[0].box * torch.tensor([2, 3, 2, 3]))
    torch.testing.assert_close(view.claims, views[0].claims)
    assert (view.anchors[:, 1] == 3 * views[0].anchors[:, 1]).all()
