import pytest
import torch

from freeanchor.boxes import aligned_iou, pairwise_iof, pairwise_iou


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


def test_aligned_iou_is_the_pairwise_one_to_the_bit() -> None:
    torch.manual_seed(0)
    corner = 50 * torch.rand(60, 2)
    boxes = torch.cat([corner, corner + 40 * torch.rand(60, 2)], dim=1)
    expected = pairwise_iou(boxes, boxes)
    assert torch.equal(aligned_iou(boxes[:, None], boxes), expected)
    assert torch.equal(aligned_iou(boxes, boxes.flip(0)), expected.flip(1).diag())
