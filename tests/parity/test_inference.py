"""Features and detections against MMDetection's."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from freeanchor.boxes import select_detections

from .goldens import cases, load
from .models import batch, build


def params(*dtypes: str) -> list[Any]:
    found = []
    for name in (*cases('infer_freeanchor_'), *cases('infer_retinanet_')):
        quick = name.endswith(('r18', 'r18_few', 'r50'))
        recorded = 'float64/network/bboxes_0' in load(name)
        for dtype in dtypes:
            if dtype == 'float32' or recorded:
                marks = [] if quick else [pytest.mark.slow]
                found.append(
                    pytest.param((name, dtype), marks=marks, id=f'{name}-{dtype}')
                )
    return found


class Run:
    """A case's features, and its detections in both kinds of pixels."""

    @torch.no_grad()
    def __init__(self, name: str, dtype: str) -> None:
        self.case, self.wide = load(name), dtype == 'float64'
        model, _ = build(self.case.info, getattr(torch, dtype))
        model.eval()
        inputs, samples = batch(self.case, getattr(torch, dtype))
        backbone = model.backbone(inputs)
        neck = model.neck(backbone)
        predictions = model.bbox_head(neck)
        shapes = [x.shape[-2:] for x in neck]
        self.features = {
            'C2_to_C5': backbone,
            'P3_to_P7': neck,
            'cls_scores': [_as_map(x, s) for x, s in zip(predictions.logits, shapes)],
            'bbox_preds': [_as_map(x, s) for x, s in zip(predictions.deltas, shapes)],
        }
        self.network = [
            select_detections(
                predictions.image(i), predictions.coder, x.img_shape, **model.test_cfg
            )
            for i, x in enumerate(samples)
        ]
        found = [x.pred_instances for x in model(inputs, samples, mode='predict')]
        self.original = [(x.bboxes, x.scores, x.labels) for x in found]


def _as_map(x: Tensor, shape: torch.Size) -> Tensor:
    """``(B, H * W, K, width)`` back to the convolution's ``(B, K * width, H, W)``."""
    return x.reshape(len(x), *shape, -1).permute(0, 3, 1, 2)


@pytest.fixture(scope='module')
def run(request: pytest.FixtureRequest) -> Run:
    return Run(*request.param)


@pytest.mark.parametrize('run', params('float32'), indirect=True)
def test_features_are_mmdetections(run: Run) -> None:
    for what, maps in run.features.items():
        key = f'features/{what}'
        wide = [x.double().flatten() for x in maps]
        rows = [[x.mean(), x.std(correction=0), x.norm()] for x in wide]
        values = [[x[k * (len(x) - 1) // 15].item() for k in range(16)] for x in wide]
        for ours, theirs in (
            (np.array(rows), run.case[key]),
            (np.array(values), run.case[f'{key}/values']),
        ):
            limit = 1e-4 * np.abs(theirs).max()
            assert np.abs(ours - theirs).max() <= limit, key


@pytest.mark.parametrize('run', params('float32', 'float64'), indirect=True)
def test_detections_are_mmdetections(run: Run) -> None:
    prefix = 'float64/network' if run.wide else 'network'
    more = {} if run.wide else run.case.under('beyond_limit')
    for i, ours in enumerate(run.network):
        theirs = recorded(run.case.under(prefix), i)
        candidates = theirs
        if f'bboxes_{i}' in more:
            candidates = [torch.cat(x) for x in zip(theirs, recorded(more, i))]
        assert_same(ours, theirs, candidates, run.wide)


@pytest.mark.parametrize('run', params('float32'), indirect=True)
def test_detections_in_the_original_image_are_mmdetections(run: Run) -> None:
    for i, ours in enumerate(run.original):
        theirs = recorded(run.case.under('original'), i)
        assert_same(ours, theirs, theirs, run.wide)


def recorded(arrays: dict[str, np.ndarray], image: int) -> list[Tensor]:
    keys = ('bboxes', 'scores', 'labels')
    return [torch.from_numpy(arrays[f'{k}_{image}']) for k in keys]


def assert_same(ours: Any, theirs: Any, candidates: Any, wide: bool) -> None:
    """Ours are theirs, or among those that come right after theirs."""
    score_tolerance, box_tolerance, share = (
        (1e-6, 1e-3, 0.0) if wide else (1e-4, 0.05, 0.02)
    )
    assert len(ours[0]) == len(theirs[0])
    limit = share * len(theirs[0])
    assert without_partner(theirs, ours, score_tolerance, box_tolerance) <= limit
    assert without_partner(ours, candidates, score_tolerance, box_tolerance) <= limit


def without_partner(
    ours: Any, theirs: Any, score_tolerance: float, box_tolerance: float
) -> int:
    """Detections that have none of the same class, place and score there."""
    boxes, scores, labels = ours
    other_boxes, other_scores, other_labels = theirs
    same = (
        (labels[:, None] == other_labels)
        & ((scores[:, None] - other_scores).abs() <= score_tolerance)
        & ((boxes[:, None] - other_boxes).abs().amax(dim=2) <= box_tolerance)
    )
    return int((~same.any(dim=1)).sum())
