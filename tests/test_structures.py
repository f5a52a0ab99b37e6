import math

import pytest
import torch

from freeanchor.structures import Objects, check_objects
from tests.batches import predictions, sample


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


def test_a_batch_without_objects_is_nothing_special() -> None:
    batch = Objects.gather([sample([], []), sample([], [])])
    assert batch.boxes.shape == (0, 4)
    assert batch.counts == (0, 0)


def test_logits_are_found_on_their_level() -> None:
    batch = predictions()
    flat = torch.cat(batch.logits, dim=1)
    image = torch.tensor([0, 1, 1])
    anchor = torch.tensor([0, flat.shape[1] - 1, len(batch.anchors[0])])
    label = torch.tensor([2, 0, 1])
    torch.testing.assert_close(
        batch.logits_at(image, anchor, label), flat[image, anchor, label]
    )


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float64])
def test_logits_are_found_in_float32_or_wider(dtype: torch.dtype) -> None:
    place = torch.tensor([0]), torch.tensor([0]), torch.tensor([0])
    found = predictions(dtype=dtype).logits_at(*place)
    assert found.dtype == torch.promote_types(dtype, torch.float32)


def test_logits_that_were_not_asked_for_get_no_gradient() -> None:
    batch = predictions()
    place = torch.tensor([1]), torch.tensor([3]), torch.tensor([2])
    grads = torch.autograd.grad(batch.logits_at(*place).sum(), batch.logits)
    assert grads[0][1, 3, 2] == 1
    assert sum(x.abs().sum() for x in grads) == 1


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
