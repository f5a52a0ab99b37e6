"""What anchors can cover, against loops over all of them."""

import pytest
import torch

from freeanchor.boxes import AnchorGenerator, pairwise_iou
from freeanchor.boxes.coverage import bag_overlaps, expected_overlaps, map_sizes

STRIDES = (8, 16, 32)


def anchors_for(height, width, **settings):
    generator = AnchorGenerator(STRIDES, **settings)
    return torch.cat(generator(map_sizes(height, width, STRIDES)))


def random_boxes(number, height, width):
    corners = torch.rand(number, 2, 2).sort(dim=1).values
    boxes = corners * torch.tensor([width, height])
    return boxes.reshape(number, 4) + torch.tensor([0, 0, 8, 8])


def test_a_bag_holds_the_highest_overlaps_in_order():
    anchors, objects = anchors_for(96, 160), random_boxes(20, 96, 160)
    found = bag_overlaps(anchors, objects, 50)
    expected = pairwise_iou(objects, anchors).topk(50, dim=1).values
    torch.testing.assert_close(found, expected)


def test_of_fewer_anchors_a_bag_holds_all():
    anchors = torch.tensor([[0.0, 0, 8, 8], [8, 0, 16, 8]])
    found = bag_overlaps(anchors, torch.tensor([[0.0, 0, 16, 8]]), 50)
    assert found.tolist() == [[0.5, 0.5]]


def test_maps_have_a_cell_for_each_stride_of_the_padded_image():
    assert map_sizes(800, 1333, (8, 128)) == [(100, 168), (7, 11)]
    assert map_sizes(64, 96, (8, 16)) == [(8, 12), (4, 6)]


def test_an_object_of_an_anchors_size_may_expect_what_a_quarter_stride_leaves():
    sides = torch.tensor([[32.0, 32.0]])
    found = expected_overlaps(sides, (8,), torch.tensor([4.0]), torch.tensor([1.0]))
    shared = (32 - 2) ** 2  # shifted by 2 pixels in each direction
    assert found.item() == pytest.approx(shared / (2 * 32**2 - shared))


def test_what_is_expected_is_near_what_is_found_on_a_grid():
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(400, 2, generator=generator) * 60 + 60
    sides = torch.rand(400, 2, generator=generator) * 60 + 16
    objects = torch.cat([places, places + sides], dim=1)
    best = bag_overlaps(anchors_for(256, 256), objects, 50)[:, 0]
    scales = 4 * 2 ** (torch.arange(3) / 3)
    expected = expected_overlaps(sides, STRIDES, scales, torch.tensor([0.5, 1, 2]))
    assert (best - expected).abs().mean() < 0.05
    assert abs(float(best.mean() - expected.mean())) < 0.03


def test_no_object_is_ordinary():
    found = bag_overlaps(anchors_for(64, 64), torch.zeros(0, 4), 50)
    assert found.shape == (0, 50)
