import pytest
import torch

from freeanchor.boxes import DeltaBoxCoder, select_detections

BOXES = torch.tensor([[0.0, 0, 20, 20], [1, 1, 21, 21], [40, 40, 60, 60]])


def select(logits: torch.Tensor, boxes: torch.Tensor = BOXES, **settings: float):
    levels = [(logits, torch.zeros(len(boxes), 4), boxes)]
    return select_detections(levels, DeltaBoxCoder(), (64, 64), **settings)


def test_overlapping_boxes_of_a_class_leave_the_best() -> None:
    boxes, scores, labels = select(torch.tensor([[2.0], [3.0], [1.0]]))
    assert boxes.tolist() == BOXES[[1, 2]].tolist()
    assert scores.tolist() == pytest.approx([0.9526, 0.7311], abs=1e-4)
    assert labels.tolist() == [0, 0]


def test_boxes_of_other_classes_do_not_suppress_each_other() -> None:
    logits = torch.tensor([[2.0, -9], [-9, 3.0], [-9, -9]])
    assert select(logits)[2].tolist() == [1, 0]


def test_nothing_above_the_threshold_is_an_empty_result() -> None:
    boxes, scores, labels = select(torch.full((3, 2), -9.0))
    assert boxes.shape == (0, 4)
    assert len(scores) == len(labels) == 0


def test_boxes_are_cut_at_the_image() -> None:
    boxes = torch.tensor([[-10.0, -10, 30, 30], [50, 50, 90, 90], [70, 70, 90, 90]])
    found = select(torch.full((3, 1), 2.0), boxes)[0]
    assert sorted(found.tolist()) == [[0, 0, 30, 30], [50, 50, 64, 64]]


def test_limits_hold_per_level_and_per_image() -> None:
    apart = torch.tensor([[x, 0.0, x + 4, 4] for x in range(0, 60, 6)])
    logits = torch.arange(10.0)[:, None]
    assert len(select(logits, apart, nms_pre=3)[0]) == 3
    best = select(logits, apart, max_per_img=2)[0]
    assert best.tolist() == apart[[9, 8]].tolist()


def test_half_precision_scores_are_float32() -> None:
    assert select(torch.full((3, 1), 2.0).bfloat16())[1].dtype == torch.float32
