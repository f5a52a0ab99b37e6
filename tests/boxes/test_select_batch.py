from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torchvision.ops import batched_nms

from freeanchor.boxes import select_detections
from freeanchor.boxes.candidates import Candidates, dense_candidates
from freeanchor.boxes.select_batch import nms_by_offset, select_batch, suppress

from .test_candidates import CODER, LIMITS, levels, quality_of

SETTINGS = [
    dict(),
    dict(score_thr=0.2, nms_pre=7),
    dict(score_thr=0.0, nms_iou=0.3, max_per_img=4),
    dict(score_thr=0.999),
]
WITH_QUALITY = [
    dict(),
    dict(score_thr=0.2, nms_pre=7),
    dict(rank_powers=(0.5, 0.5), score_powers=(0.5, 0.5), nms_pre=30),
    dict(rank_powers=(1.0, 1.0), score_thr=0.0, max_per_img=4),
]


def one_by_one(given: list, quality: Sequence = (), **settings: Any) -> list:
    """The plain form: one image after another."""
    return [
        select_detections(
            [(x[i].flatten(0, -2), d[i].flatten(0, -2), a) for x, d, a in given],
            CODER,
            (int(height), int(width)),
            quality=[q[i].flatten(0, -2) for q in quality],
            **settings,
        )
        for i, (width, height) in enumerate(LIMITS.tolist())
    ]


@pytest.mark.parametrize('settings', SETTINGS)
@pytest.mark.parametrize('layout', [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16])
def test_a_batch_is_its_images_one_by_one(
    settings: dict, layout: torch.memory_format, dtype: torch.dtype
) -> None:
    given = levels(dtype, layout)
    together = select_batch(given, CODER, LIMITS, **settings)
    for ours, plain in zip(together, one_by_one(given, **settings), strict=True):
        for x, y in zip(ours, plain, strict=True):
            assert torch.equal(x, y)


@pytest.mark.parametrize('settings', WITH_QUALITY)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_a_batch_whose_boxes_have_a_quality_is_its_images_one_by_one(
    settings: dict, dtype: torch.dtype
) -> None:
    given = levels(dtype)
    quality = quality_of(given)
    together = select_batch(given, CODER, LIMITS, quality=quality, **settings)
    plain = one_by_one(given, quality, **settings)
    assert all(len(scores) > 1 for _, scores, _ in plain)
    for ours, theirs in zip(together, plain, strict=True):
        for x, y in zip(ours, theirs, strict=True):
            assert torch.equal(x, y)


@pytest.mark.parametrize('settings', SETTINGS)
def test_the_way_of_gpus_gives_the_same(settings: dict) -> None:
    given = levels()
    score_thr, nms_pre = settings.get('score_thr', 0.05), settings.get('nms_pre', 1000)
    nms_iou, limit = settings.get('nms_iou', 0.5), settings.get('max_per_img', 100)
    found = dense_candidates(given, CODER, LIMITS, score_thr, nms_pre)
    together = suppress(found, 3, nms_iou, limit)
    for ours, plain in zip(together, one_by_one(given, **settings), strict=True):
        for x, y in zip(ours, plain, strict=True):
            torch.testing.assert_close(x, y, atol=1e-5, rtol=0)


def test_a_batch_without_detections_is_empty_lists() -> None:
    for boxes, scores, labels in select_batch(levels(mean=-30.0), CODER, LIMITS):
        assert boxes.shape == (0, 4)
        assert len(scores) == len(labels) == 0


@pytest.mark.parametrize('block', [100, 200, 400])
def test_moving_groups_apart_is_nms_within_groups(block: int) -> None:
    torch.manual_seed(0)
    corners = torch.rand(400, 2) * 900
    boxes = torch.cat([corners, corners + 20 + torch.rand(400, 2) * 300], dim=1)
    scores = torch.rand(400)
    # Blocks of 100 rows are images; 80 classes in each.
    group = torch.arange(400) // 100 * 80 + torch.randint(0, 80, (400,)) // 10
    keep = nms_by_offset(boxes, scores, group, 0.5, block)
    assert set(keep.tolist()) == set(batched_nms(boxes, scores, group, 0.5).tolist())
    assert len(keep) < 400


def test_offsets_of_a_large_batch_keep_fractions_of_pixels() -> None:
    first = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    # IoU 0.5001 and 0.4999: apart by less than float32 knows at 10**6 pixels.
    for width, kept in ((5.001, 1), (4.999, 2)):
        pair = torch.cat([first, torch.tensor([[0.0, 0.0, width, 10.0]])])
        far = torch.tensor([[0.0, 0.0, 1333.0, 800.0]])
        group = torch.tensor([2559, 2559, 0])
        keep = nms_by_offset(
            torch.cat([pair, far]), torch.tensor([0.9, 0.8, 0.7]), group, 0.5, 3
        )
        assert len(keep) == kept + 1


def test_boxes_of_many_images_and_classes_are_not_rounded() -> None:
    """Offsets of 8 x 1,203 groups would leave float32 whole pixels only."""
    torch.manual_seed(0)
    corners = 1300 * torch.rand(60, 2).repeat_interleave(10, dim=0)
    corners = corners + 3 * torch.rand(600, 2)
    boxes = torch.cat([corners, corners + 8 + 2 * torch.rand(600, 2)], dim=1)
    image = torch.arange(600) * 8 // 600
    labels = torch.full((600,), 1202)
    scores = torch.rand(600)
    together = suppress(Candidates(boxes, scores, labels, image), 8, 0.5, 100)
    for i, found in enumerate(together):
        own = image == i
        keep = batched_nms(boxes[own], scores[own], labels[own], 0.5)
        assert torch.equal(found[0], boxes[own][keep])
