import pytest
import torch
from torch.testing import assert_close

from freeanchor.losses import AutoAssignLoss
from freeanchor.losses.center_prior import CenterPrior
from freeanchor.structures import DensePredictions
from tests.batches import objects, predictions, sample
from tests.models.detectors import small_detector


@pytest.fixture
def batch() -> DensePredictions:
    return predictions(
        num_images=1, with_quality=True, strides=(8, 16), ratios=[1.0], scales=[8.0]
    )


def test_the_prior_is_a_normal_distribution_with_peak_1() -> None:
    prior = CenterPrior(2)
    prior.mean.data[1] = torch.tensor([1.0, -1.0])
    prior.sigma.data[1] = torch.tensor([2.0, 0.5])
    offset = torch.tensor([[0.0, 0.0], [1.0, -1.0], [3.0, -0.5]])
    label = torch.tensor([0, 1, 1])
    assert_close(prior(offset, label).exp(), torch.tensor([1, 1, torch.e**-1]))


def test_the_prior_counts_in_strides_from_the_objects_centre(
    batch: DensePredictions,
) -> None:
    truth = objects(sample([[8, 8, 40, 40]], [1]))  # centred at 24, 24
    loss = AutoAssignLoss(3)
    pairs = loss.pairs(batch, truth)
    log_prior = loss._log_prior(batch, truth, pairs)
    centre = torch.cat(batch.anchors)[pairs.anchor].view(-1, 2, 2).mean(dim=1)
    stride = torch.where(pairs.anchor < 64, 8.0, 16.0)[:, None]
    distance = ((centre - 24) / stride).square().sum(dim=1)
    assert len(distance) == 9 + 4  # 16 to 32 by 8, and 16, 32 by 16
    assert_close(log_prior, -distance / 2)


def test_quality_takes_part_as_a_factor_of_the_score(batch: DensePredictions) -> None:
    truth = objects(sample([[8, 8, 40, 40]], [1]))
    loss = AutoAssignLoss(3)
    joint = [
        torch.logit(x.sigmoid() * q.sigmoid())
        for x, q in zip(batch.logits, batch.quality)
    ]
    alone = DensePredictions(tuple(joint), batch.deltas, batch.anchors, batch.coder)
    assert_close(loss(batch, truth), loss(alone, truth))


def test_of_objects_of_a_class_the_one_that_is_fitted_best_counts(
    batch: DensePredictions,
) -> None:
    boxes, labels = [[4, 4, 44, 44], [12, 2, 60, 60.0], [0, 20, 50, 62]], [1, 1, 1]
    loss = AutoAssignLoss(3)
    first = loss(batch, objects(sample(boxes, labels)))
    assert_close(loss(batch, objects(sample(boxes[::-1], labels))), first)


def test_an_object_that_holds_no_centre_costs_nothing(
    batch: DensePredictions,
) -> None:
    between = [17.0, 17.0, 23.0, 23.0]
    loss = AutoAssignLoss(3)
    terms = loss(batch, objects(sample([between], [1])))
    assert terms['loss_pos'] == 0
    assert terms['loss_center'] == 0
    nothing = loss(batch, objects(sample([], [])))
    assert_close(terms['loss_neg'], nothing['loss_neg'])


def test_another_number_of_classes_is_named(batch: DensePredictions) -> None:
    with pytest.raises(ValueError, match=r'loss.num_classes is 80, .* has 3 classes'):
        AutoAssignLoss(80)(batch, objects(sample([[8, 8, 40, 40]], [1])))


def test_the_prior_is_trained_and_saved_with_the_detector() -> None:
    model = small_detector(loss=dict(type='AutoAssignLoss', num_classes=3))
    own = {'loss.center_prior.mean', 'loss.center_prior.sigma'}
    assert own <= set(model.state_dict())
    assert own <= {name for name, _ in model.named_parameters()}
