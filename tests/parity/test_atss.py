"""ATSS against MMDetection's: losses, gradients, assignment and detections."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import Tensor

from freeanchor.boxes import AnchorGenerator, DeltaBoxCoder, select_detections
from freeanchor.losses import ATSSLoss
from freeanchor.registry import MODELS
from freeanchor.structures import DensePredictions, Objects

from .goldens import cases, deterministic, load
from .models import CONFIGS, R18, batch
from .test_inference import assert_same, recorded
from .test_losses import samples

CASES = {name: load(name) for name in cases('loss_atss_')}
DTYPES = {'': torch.float32, '_float64': torch.float64}
# MMDetection keeps anchors and the targets of quality in float32.
TIGHT = {'loss_cls': 1e-12, 'loss_bbox': 1e-8, 'loss_quality': 1e-6}
# It adds this to what a term is divided by.
EPS = torch.finfo(torch.float32).eps
KINDS = ('cls_score', 'bbox_pred', 'centerness')
TERMS = {
    'loss_cls': 'loss_cls',
    'loss_bbox': 'loss_bbox',
    'loss_quality': 'loss_centerness',
}


class Setup:
    """One case in one dtype: leaves, predictions, objects and our loss."""

    def __init__(self, name: str, suffix: str) -> None:
        self.case, dtype = CASES[name], DTYPES[suffix]
        settings = self.case.info['settings']
        self.leaves = {
            f'{kind}_{level}': torch.from_numpy(self.case[f'{kind}_{level}'])
            .to(dtype)
            .requires_grad_()
            for kind in KINDS
            for level in range(5)
        }
        logits, deltas, quality = (
            [self.leaves[f'{k}_{level}'] for level in range(5)] for k in KINDS
        )
        generator = {**settings['anchor_generator']}
        generator.pop('type')
        anchors = AnchorGenerator(**generator)
        self.predictions = DensePredictions.from_maps(
            logits,
            deltas,
            anchors([x.shape[-2:] for x in logits]),
            DeltaBoxCoder(settings['bbox_coder']['target_stds']),
            quality,
        )
        self.objects = Objects.gather(samples(self.case))
        self.loss = ATSSLoss(topk=self.case.info['topk'] // anchors.num_anchors)

    def terms(self) -> dict[str, Tensor]:
        return self.loss(self.predictions, self.objects)

    def without_eps(self, term: str, value: float) -> float:
        """What MMDetection would have without its epsilon."""
        # The overlap term is divided twice, the first time by 1.
        divisor = 1.0 if term == 'loss_bbox' else self.case.info['avg_factor']
        return value * (1 + EPS / divisor)

    def gradients(self) -> Iterator[tuple[str, str, Tensor]]:
        """Term, name in the golden case and gradient."""
        leaves = list(self.leaves.values())
        for term, value in self.terms().items():
            grads = torch.autograd.grad(
                value, leaves, retain_graph=True, allow_unused=True
            )
            for (name, leaf), grad in zip(self.leaves.items(), grads):
                found = torch.zeros_like(leaf) if grad is None else grad
                yield term, f'grad/{TERMS[term]}/{name}', found


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize('suffix', DTYPES)
def test_losses_are_mmdetections(name: str, suffix: str) -> None:
    setup = Setup(name, suffix)
    for term, value in setup.terms().items():
        theirs = float(setup.case[f'loss{suffix}/{TERMS[term]}'])
        exact = setup.without_eps(term, theirs)
        tolerance = TIGHT[term] if suffix else 1e-5
        near = pytest.approx(exact, rel=tolerance, abs=1e-14)
        assert value.item() == near, term


@pytest.mark.parametrize('suffix', DTYPES)
def test_gradients_are_mmdetections(name: str, suffix: str) -> None:
    setup = Setup(name, suffix)
    for term, key, ours in setup.gradients():
        norm = float(setup.case[f'l2{suffix}/{key}'])
        exact = setup.without_eps(term, norm)
        tolerance = TIGHT[term] if suffix else 1e-4
        near = pytest.approx(exact, rel=tolerance, abs=1e-14)
        assert ours.norm().item() == near, key
        if f'{key}/every7' in setup.case:
            theirs = setup.case[f'{key}/every7']
            limit = 1e-4 * np.abs(theirs).max()
            part = ours.reshape(-1)[::7].numpy()
            assert np.abs(part - theirs).max() <= limit, key
        else:
            assert norm == 0, key


def test_assignments_are_mmdetections(name: str) -> None:
    setup = Setup(name, '')
    case, objects = setup.case, setup.objects
    found = setup.loss.match(setup.predictions, objects)
    labels = torch.full(found.counted.shape, case.info['settings']['num_classes'])
    row, _ = found.positive.nonzero(as_tuple=True)
    labels[objects.image[row], found.anchor[found.positive]] = objects.labels[row]
    np.testing.assert_array_equal(labels.numpy(), case['assigned_labels'])
    np.testing.assert_array_equal(found.counted.numpy(), case['label_weights'] > 0)
    divisor = setup.loss.counts(setup.predictions, objects)['loss_cls']
    assert int(divisor) == case.info['avg_factor']


class Run:
    """Outputs and detections of a small whole detector."""

    @torch.no_grad()
    def __init__(self, dtype: str) -> None:
        self.case, self.wide = load('infer_atss_r18'), dtype == 'float64'
        self.prefix = 'float64/' if self.wide else ''
        cfg = Config.fromfile(CONFIGS / 'atss_r50_fpn_1x.py')
        cfg.model.backbone.init_cfg = None
        cfg.merge_from_dict({**R18, 'model.bbox_head.num_classes': 3})
        model = MODELS.build(cfg.model).eval()
        model.load_state_dict(weights(model, self.case.info['weights_seed']))
        model = model.to(getattr(torch, dtype))
        inputs, pictures = batch(self.case, getattr(torch, dtype))
        found = model(inputs)
        self.maps = dict(zip(KINDS, (found.logits, found.deltas, found.quality)))
        self.network = [
            select_detections(
                found.image(i),
                found.coder,
                x.img_shape,
                **model.test_cfg,
                quality=[q[i].flatten(0, 1) for q in found.quality],
            )
            for i, x in enumerate(pictures)
        ]
        results = model(inputs, pictures, mode='predict')
        instances = [x.pred_instances for x in results]
        self.original = [(x.bboxes, x.scores, x.labels) for x in instances]


def weights(model: torch.nn.Module, seed: int) -> dict[str, Tensor]:
    found = {}
    for key, value in model.state_dict().items():
        if key.endswith('.scale'):
            array = deterministic.uniform(key, (), 0.8, 1.2, seed)
        else:
            array = deterministic.tensor_for(key, tuple(value.shape), seed)
        found[key] = torch.as_tensor(array)
    return found


@pytest.fixture(scope='module', params=['float32', 'float64'])
def run(request: pytest.FixtureRequest) -> Run:
    return Run(request.param)


def test_raw_outputs_are_mmdetections(run: Run) -> None:
    for kind, levels in run.maps.items():
        theirs = run.case[f'{run.prefix}features/{kind}/values']
        # MMDetection rounds deltas to float32.
        tolerance = (1e-7 if run.wide else 1e-4) * np.abs(theirs).max()
        for level, row in zip(levels, theirs, strict=True):
            flat = as_map(level).flatten()
            ours = [flat[k * (len(flat) - 1) // 15].item() for k in range(16)]
            assert np.abs(np.array(ours) - row).max() <= tolerance, kind


def as_map(level: Tensor) -> Tensor:
    """``(B, P, K, W)`` back to the convolution's order, ``(B, K, W, P)``."""
    return level.permute(0, 2, 3, 1)


@pytest.mark.parametrize('place', ['network', 'original'])
def test_detections_are_mmdetections(run: Run, place: str) -> None:
    prefix = f'{run.prefix}{place}'
    for i, ours in enumerate(getattr(run, place)):
        theirs: Any = recorded(run.case.under(prefix), i)
        assert len(theirs[0]) > 20
        assert_same(ours, theirs, theirs, run.wide)


def test_the_recorded_detector_is_surer_of_some_boxes_than_of_others(run: Run) -> None:
    """Else a mistake in how quality is used would change nothing."""
    quality = torch.cat([x.flatten() for x in run.maps['centerness']]).sigmoid()
    assert quality.std() > 0.05
