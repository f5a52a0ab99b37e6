import math

import pytest
import torch

from freeanchor.boxes import DeltaBoxCoder
from freeanchor.structures import (
    DensePredictions,
    Objects,
    check_objects,
    packed,
    unpacked,
)
from tests.batches import flat, predictions, sample


def test_objects_of_all_images_stand_in_one_row() -> None:
    batch = Objects.gather(
        [
            sample([[1, 2, 3, 4]], [5]),
            sample([], [], ignored=[[0, 0, 9, 9]]),
            sample([[5, 6, 7, 8], [1, 1, 2, 2]], [0, 1], pad_shape=(96, 128)),
        ]
    )
    assert batch.boxes.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [1, 1, 2, 2]]
    assert batch.labels.tolist() == [5, 0, 1]
    assert batch.image.tolist() == [0, 2, 2]
    assert batch.counts == (1, 0, 2)
    assert batch.ignored.boxes.tolist() == [[0, 0, 9, 9]]
    assert batch.ignored.image.tolist() == [1]
    assert batch.pad_shapes == ((64, 64), (64, 64), (96, 128))
    assert len(batch) == 3


def test_tensors_travel_in_one_row_of_bytes() -> None:
    tensors = [
        torch.rand(3, 4),
        torch.arange(3),
        torch.rand(0, 4),
        torch.rand(2, dtype=torch.float64),
        torch.tensor([True, False, True]),
    ]
    row = packed(tensors)
    assert row.dtype == torch.uint8
    assert row.ndim == 1
    for found, given in zip(unpacked(row, tensors), tensors):
        assert found.dtype == given.dtype
        assert torch.equal(found, given)


def test_a_batch_without_objects_is_nothing_special() -> None:
    batch = Objects.gather([sample([], []), sample([], [])])
    assert batch.boxes.shape == (0, 4)
    assert batch.counts == (0, 0)


def test_maps_of_both_memory_formats_are_viewed_anchor_by_anchor() -> None:
    torch.manual_seed(0)
    logits, deltas = torch.randn(2, 6, 4, 5), torch.randn(2, 12, 4, 5)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        batch = DensePredictions.from_maps(
            [logits.contiguous(memory_format=memory_format)],
            [deltas.contiguous(memory_format=memory_format)],
            [torch.zeros(4 * 5 * 3, 4)],
            DeltaBoxCoder(),
        )
        assert (batch.num_images, batch.num_anchors, batch.num_classes) == (2, 60, 2)
        y, x, anchor = 3, 1, 2
        place = batch.logits[0][1, 5 * y + x, anchor]
        assert torch.equal(place, logits[1, 2 * anchor : 2 * anchor + 2, y, x])
        place = batch.deltas[0][1, 5 * y + x, anchor]
        assert torch.equal(place, deltas[1, 4 * anchor : 4 * anchor + 4, y, x])


def test_an_images_levels_and_boxes_stand_in_the_order_of_the_anchors() -> None:
    batch = predictions()
    (logits, deltas, anchors), _ = batch.image(1)
    assert logits.shape == (144, 3)
    assert torch.equal(deltas, flat(batch.deltas)[1, :144])
    boxes = batch.boxes(1)
    expected = batch.coder.decode(torch.cat(batch.anchors), flat(batch.deltas)[1])
    assert torch.equal(boxes, expected)
    assert torch.equal(boxes[:144], batch.coder.decode(anchors, deltas))


NAN, INF = math.nan, math.inf
BAD = {
    'is not finite': [[NAN, 0, 5, 5], [0, 0, INF, 5], [0, -INF, 5, 5]],
    'has no area': [[5, 5, 5, 9], [5, 5, 9, 5], [9, 5, 5, 9], [5, 9, 9, 5]],
    'lies outside the 64 x 64 image': [[64, 0, 70, 5], [-9, 0, 0, 5], [0, 70, 5, 80]],
}


@pytest.mark.parametrize(
    ('fault', 'box'), [(fault, box) for fault, boxes in BAD.items() for box in boxes]
)
def test_a_bad_box_is_refused_by_the_name_of_its_image(
    fault: str, box: list[float]
) -> None:
    good = sample([[0, 0, 5, 5]], [0], img_path='good.jpg')
    bad = sample([[0, 0, 5, 5], box], [0, 0], img_path='dir/bad.jpg', img_id=17)
    with pytest.raises(ValueError, match=rf'dir/bad.jpg \(id 17\): object 1.*{fault}'):
        check_objects([good, bad], num_classes=3)


@pytest.mark.parametrize('label', [-1, 3, 1000])
def test_a_label_the_head_does_not_have_is_refused(label: int) -> None:
    bad = sample([[0, 0, 5, 5]], [label], img_path='bad.jpg')
    with pytest.raises(ValueError, match=rf'bad.jpg.*label {label}.*num_classes=3'):
        check_objects([bad], num_classes=3)


def test_a_box_partly_outside_is_accepted() -> None:
    check_objects([sample([[-5, -5, 5, 5], [60, 60, 99, 99]], [0, 2])], num_classes=3)


def test_quality_is_read_like_logits_or_is_not_there() -> None:
    logits = [torch.rand(2, 6, 4, 3)]  # 3 anchors a position, 2 classes
    deltas, quality = [torch.rand(2, 12, 4, 3)], torch.rand(2, 3, 4, 3)
    anchors, coder = [torch.rand(36, 4)], DeltaBoxCoder()
    assert DensePredictions.from_maps(logits, deltas, anchors, coder).quality == ()
    found = DensePredictions.from_maps(logits, deltas, anchors, coder, [quality])
    assert found.quality[0].shape == (2, 12, 3, 1)
    assert found.quality[0][1, 7, 2, 0] == quality[1, 2, 2, 1]  # row 2, column 1
