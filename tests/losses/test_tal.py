import pytest
import torch
from torch.testing import assert_close

from freeanchor.boxes import pairwise_iou
from freeanchor.losses import TALLoss
from tests.batches import objects, predictions, sample

SCENE = (
    sample([[4, 6, 40, 44], [30, 2, 60, 62]], [0, 2]),
    sample([[1, 30, 62, 50]], [1]),
)


def test_the_best_of_an_objects_anchors_should_score_its_best_overlap() -> None:
    batch, truth = predictions(), objects(*SCENE)
    anchor, target = TALLoss().assign(batch, truth)
    for g in range(len(truth)):
        given = target[g] > 0
        assert given.any()
        boxes = batch.boxes(int(truth.image[g]))[anchor[g][given]]
        ious = pairwise_iou(truth.boxes[g : g + 1], boxes)[0]
        assert_close(target[g].max(), ious.max())
        assert (target[g] <= ious.max()).all()


@pytest.mark.parametrize('logit', [-30.0, -300.0])
def test_targets_do_not_fade_with_the_scores(logit: float) -> None:
    truth = objects(*SCENE)
    batch = predictions(logit=logit)
    _, target = TALLoss().assign(batch, truth)
    assert (target.amax(dim=1) > 0.1).all()
    _, faded = TALLoss(eps=1e-7).assign(batch, truth)
    assert (faded < 1e-3).all()


def test_without_powers_of_the_score_overlap_alone_decides() -> None:
    batch, truth = predictions(num_images=1), objects(SCENE[1])
    loss = TALLoss(alpha=0.0, beta=1.0, num_candidates=5)
    anchor, target = loss.assign(batch, truth)
    ious = pairwise_iou(truth.boxes, batch.boxes(0))[0]
    best = ious.topk(5).indices
    assert set(anchor[0].tolist()) == set(best.tolist())
    given = target[0] > 0
    assert_close(target[0][given], ious[anchor[0][given]])


def test_anchors_of_the_padding_take_no_part() -> None:
    picture = sample([[2, 2, 30, 30]], [1], img_shape=(32, 32))
    batch, truth = predictions(num_images=1, logit=1.0), objects(picture)
    terms = TALLoss()(batch, truth)
    for level, anchors in zip(batch.logits, batch.anchors):
        centre = (anchors[:, :2] + anchors[:, 2:]) / 2
        outside = (centre > 31).any(dim=1).reshape(level.shape[1:3])
        (grad,) = torch.autograd.grad(terms['loss_cls'], level, retain_graph=True)
        assert not grad[0][outside].any()
        assert grad[0][~outside].all()


def test_its_divisor_depends_on_predictions_so_it_has_no_counts() -> None:
    with pytest.raises(NotImplementedError):
        TALLoss().counts(predictions(), objects(*SCENE))
