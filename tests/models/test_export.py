import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.ops import batched_nms

from freeanchor.models.export import ExportableDetector, keep_by_class
from tests.batches import sample

from .detectors import small_detector
from .test_deploy import detector
from .test_fuse import with_statistics

SIZES = [(97, 131), (64, 120)]  # height, width


def quality_detector() -> nn.Module:
    head = dict(
        type='QualityHead', num_classes=3, in_channels=16, feat_channels=16,
        stacked_convs=1, prior_prob=0.1, num_groups=4,
        anchor_generator=dict(
            type='AnchorGenerator', strides=[8, 16, 32, 64, 128], ratios=[1.0],
            scales=[8],
        ),
        bbox_coder=dict(type='DeltaBoxCoder', stds=[0.1, 0.1, 0.2, 0.2]),
    )  # fmt: skip
    torch.manual_seed(0)
    loss = dict(type='ATSSLoss')
    model = with_statistics(small_detector(bbox_head=head, loss=loss))
    with torch.no_grad():  # scores and qualities that are far apart
        model.bbox_head.retina_cls.weight.mul_(100)
        model.bbox_head.retina_quality.weight.mul_(100)
    return model


def images_of(sizes: list[tuple[int, int]]) -> Tensor:
    """A batch that is padded with zeros."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.zeros(len(sizes), 3, *map(max, zip(*sizes)))
    for place, (height, width) in zip(batch, sizes):
        place[:, :height, :width] = torch.randn(3, height, width, generator=generator)
    return batch


def by_itself(model: nn.Module, images: Tensor, sizes: list) -> list:
    samples = [sample([], [], size) for size in sizes]
    with torch.no_grad():
        return [x.pred_instances for x in model(images, samples, mode='predict')]


def exportable(model: nn.Module, images: Tensor, sizes: list) -> tuple[Tensor, ...]:
    limits = torch.tensor([size[::-1] for size in sizes], dtype=torch.float32)
    with torch.no_grad():
        return ExportableDetector(copy.deepcopy(model))(images, limits)


def assert_same(found: tuple[Tensor, ...], expected: list) -> None:
    for boxes, scores, labels, count, own in zip(*found, expected, strict=True):
        assert count == len(own)
        torch.testing.assert_close(boxes[:count], own.bboxes, atol=0.05, rtol=0)
        torch.testing.assert_close(scores[:count], own.scores, atol=1e-5, rtol=0)
        assert torch.equal(labels[:count], own.labels)
        assert not boxes[count:].any()
        assert not scores[count:].any()
        assert (labels[count:] == -1).all()


@pytest.mark.parametrize('make', [detector, quality_detector])
def test_it_finds_what_the_detector_finds(make: Callable[[], nn.Module]) -> None:
    model = make()
    images = images_of(SIZES)
    expected = by_itself(model, images, SIZES)
    assert min(map(len, expected)) > 20
    assert_same(exportable(model, images, SIZES), expected)


def test_an_image_without_detections_has_empty_places_only() -> None:
    model = detector()
    images = images_of(SIZES)
    images[1] = 0
    best = [x.scores[0] for x in by_itself(model, images, SIZES)]
    model.test_cfg = {**model.test_cfg, 'score_thr': float(sum(best) / 2)}
    expected = by_itself(model, images, SIZES)
    assert sorted(map(len, expected))[0] == 0 < sorted(map(len, expected))[1]
    assert_same(exportable(model, images, SIZES), expected)


def test_there_may_be_more_places_than_candidates() -> None:
    model = detector()
    model.test_cfg = {**model.test_cfg, 'nms_pre': 3, 'max_per_img': 50}
    images = images_of(SIZES)
    found = exportable(model, images, SIZES)
    assert found[0].shape == (2, 50, 4)
    assert_same(found, by_itself(model, images, SIZES))


def test_voting_is_refused() -> None:
    model = detector()
    model.test_cfg = {**model.test_cfg, 'voting_sigma': 0.025}
    with pytest.raises(ValueError, match='voting_sigma to None'):
        ExportableDetector(model)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.floats(0.1, 0.9))
def test_candidates_are_kept_as_batched_nms_keeps_them(
    seed: int, num_images: int, nms_iou: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(num_images, 40, 2, generator=generator) * 30
    sides = torch.rand(num_images, 40, 2, generator=generator) * 20
    boxes = torch.cat([corners, corners + sides], dim=-1)
    # Different from each other: the order is not in doubt.
    scores = torch.randperm(num_images * 40, generator=generator).reshape(-1, 40) / 100
    scores = scores - 0.2
    labels = torch.randint(3, (num_images, 40), generator=generator)
    keep = keep_by_class(boxes, scores, labels, 3, nms_iou)
    for own, *of_image in zip(keep, boxes, scores, labels):
        candidate = of_image[1] >= 0
        rows = candidate.nonzero()[:, 0]
        kept = rows[batched_nms(*(x[rows].double() for x in of_image), nms_iou)]
        assert own.nonzero()[:, 0].tolist() == sorted(kept.tolist())
