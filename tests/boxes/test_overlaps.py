import pytest
import torch

from freeanchor.boxes import pairwise_iof, pairwise_iou


def test_iou_of_a_quarter_shifted_box() -> None:
    a, b = (
        torch.tensor([[0.0, 0, 4, 4]]),
        torch.tensor([[2.0, 2, 6, 6], [9, 9, 10, 10]]),
    )
    assert pairwise_iou(a, b).tolist() == [[pytest.approx(4 / 28), 0]]


def test_iof_is_the_share_of_the_box_inside_the_region() -> None:
    boxes = torch.tensor([[0.0, 0, 4, 4], [100, 100, 104, 104]])
    regions = torch.tensor([[2.0, 0, 1000, 1000]])
    assert pairwise_iof(boxes, regions).tolist() == [[0.5], [1.0]]


def test_no_region_has_no_columns() -> None:
    assert pairwise_iof(torch.zeros(3, 4), torch.zeros(0, 4)).shape == (3, 0)
