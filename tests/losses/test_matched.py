import torch

from freeanchor.losses.matched import read_boxes, read_quality
from tests.batches import predictions


def test_boxes_and_quality_are_those_of_the_anchors_asked_for() -> None:
    batch = predictions(with_quality=True)
    anchor = torch.tensor([[3, batch.num_anchors - 1], [150, 3]])
    image = torch.tensor([[0], [1]])
    boxes = read_boxes(batch, image, anchor)
    all_quality = torch.cat([x.flatten(1) for x in batch.quality], dim=1)
    torch.testing.assert_close(
        read_quality(batch, image, anchor), all_quality[image, anchor]
    )
    for i in range(2):
        torch.testing.assert_close(boxes[i], batch.boxes(i)[anchor[i]])
    assert boxes.requires_grad
