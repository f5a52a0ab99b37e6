import torch

from freeanchor.boxes import IGNORED, max_iou_assign, pairwise_iou
from freeanchor.losses.assigning import assign_anchors
from tests.batches import objects, predictions, sample


def test_each_image_is_assigned_its_own_objects() -> None:
    boxes = [[[8.0, 8, 40, 40], [30, 2, 60, 62]], [], [[4.0, 6, 40, 44]]]
    batch = predictions(num_images=3)
    truth = objects(*(sample(x, [0] * len(x)) for x in boxes))
    anchors = torch.cat(batch.anchors)
    first = 0
    for row, own in zip(assign_anchors(batch, truth, 0.4, 0.3), boxes, strict=True):
        ious = pairwise_iou(torch.tensor(own).reshape(-1, 4), anchors)
        alone = max_iou_assign(ious, 0.4, 0.3)
        assert torch.equal(row, alone.where(alone < 0, alone + first))
        first += len(own)
    assert first == len(truth)


def test_anchors_of_the_padding_are_ignored() -> None:
    batch = predictions(num_images=1)
    truth = objects(sample([[8, 8, 30, 30]], [0], (32, 64)))
    anchors = torch.cat(batch.anchors)
    below = anchors[:, [1, 3]].mean(dim=1) >= 32
    found = assign_anchors(batch, truth, 0.5, 0.4)[0]
    assert below.any()
    assert (found[below] == IGNORED).all()
    assert (found[~below] != IGNORED).any()
