"""PAA's losses, gradients, assignment and detections against MMDetection's."""

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import Tensor

from freeanchor.boxes import AnchorGenerator, DeltaBoxCoder
from freeanchor.losses import PAALoss
from freeanchor.registry import MODELS
from freeanchor.structures import DensePredictions, Objects

from .goldens import Case, cases, deterministic, load
from .models import CONFIGS, R18, batch
from .test_inference import assert_same, recorded
from .test_losses import assert_close_to_largest, samples

CASES = {name: load(name) for name in cases('loss_paa_')}
KINDS = ('cls_score', 'bbox_pred', 'iou_pred')
DTYPES = {'loss': torch.float32, 'loss_float64': torch.float64}


class Setup:
    """One case in one dtype: leaves, predictions, objects and our loss."""

    def __init__(self, case: Case, dtype: torch.dtype) -> None:
        settings = case.info['settings']
        self.leaves = {
            f'{kind}_{level}': torch.from_numpy(case[f'{kind}_{level}'])
            .to(dtype)
            .requires_grad_()
            for kind in KINDS
            for level in range(5)
        }
        logits, deltas, quality = (
            [self.leaves[f'{kind}_{level}'] for level in range(5)] for kind in KINDS
        )
        anchors = {k: v for k, v in settings['anchor_generator'].items() if k != 'type'}
        coder = settings['bbox_coder']
        self.predictions = DensePredictions.from_maps(
            logits,
            deltas,
            AnchorGenerator(**anchors)([x.shape[-2:] for x in logits]),
            DeltaBoxCoder(coder['target_stds'], coder['target_means']),
            quality,
        )
        self.objects = Objects.gather(samples(case))
        self.loss = PAALoss(
            topk=settings['topk'],
            alpha=settings['loss_cls']['alpha'],
            gamma=settings['loss_cls']['gamma'],
            box_weight=settings['loss_bbox']['loss_weight'],
            quality_weight=settings['loss_centerness']['loss_weight'],
        )

    def terms(self) -> dict[str, Tensor]:
        """By MMDetection's names."""
        found = self.loss(self.predictions, self.objects)
        return {k.replace('quality', 'iou'): v for k, v in found.items()}


@pytest.mark.parametrize('prefix', DTYPES)
@pytest.mark.parametrize('name', CASES)
def test_losses_are_mmdetections(name: str, prefix: str) -> None:
    case = CASES[name]
    terms = Setup(case, DTYPES[prefix]).terms()
    assert {f'{prefix}/{term}' for term in terms} == {
        key for key in case if key.startswith(f'{prefix}/')
    }
    for term, value in terms.items():
        theirs = float(case[f'{prefix}/{term}'])
        assert value.item() == pytest.approx(theirs, rel=1e-5, abs=1e-12), term


@pytest.mark.parametrize('name', CASES)
def test_gradients_are_mmdetections(name: str) -> None:
    case = CASES[name]
    setup = Setup(case, torch.float32)
    leaves = setup.leaves
    for term, value in setup.terms().items():
        grads = torch.autograd.grad(
            value, list(leaves.values()), retain_graph=True, allow_unused=True
        )
        for (leaf, values), grad in zip(leaves.items(), grads):
            ours = torch.zeros_like(values) if grad is None else grad
            key = f'grad/{term}/{leaf}'
            norm = float(case.get(f'l2/{key}', 0))
            assert ours.norm().item() == pytest.approx(norm, rel=1e-4, abs=1e-12), key
            if key in case:
                assert_close_to_largest(ours, case[key], key)
            elif norm:
                part = ours.reshape(-1)[::7]
                assert_close_to_largest(part, case[f'{key}/every7'], key)


@pytest.mark.parametrize('dtype', DTYPES.values())
@pytest.mark.parametrize('name', CASES)
def test_the_same_anchors_are_positive_for_the_same_classes(
    name: str, dtype: torch.dtype
) -> None:
    case = CASES[name]
    setup = Setup(case, dtype)
    candidates = setup.loss.candidates(setup.predictions, setup.objects)
    image, anchor = setup.loss.positives(setup.predictions, setup.objects, candidates)
    background = case.info['settings']['num_classes']
    labels = np.full(case['assigned_labels'].shape, background)
    labels[image, anchor] = setup.objects.labels[candidates[image, anchor]]
    np.testing.assert_array_equal(labels, case['assigned_labels'])


def test_some_objects_have_no_one_or_two_candidates() -> None:
    setup = Setup(CASES['loss_paa_few_candidates'], torch.float32)
    candidates = setup.loss.candidates(setup.predictions, setup.objects)
    found = candidates[candidates >= 0].bincount(minlength=len(setup.objects))
    assert {0, 1, 2} <= set(found.tolist())


def build(case: Case, dtype: torch.dtype) -> torch.nn.Module:
    """Our detector with the weights and the settings of a case."""
    info = case.info
    cfg = Config.fromfile(CONFIGS / 'paa_r50_fpn_1x.py')
    cfg.merge_from_dict(R18)
    cfg.model.backbone.init_cfg = None
    cfg.model.bbox_head.num_classes = info['num_classes']
    cfg.model.test_cfg.update(
        score_thr=info['score_thr'],
        voting_sigma=0.025 if info['score_voting'] else None,
    )
    model = MODELS.build(cfg.model)
    shapes = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    scales = [k for k in shapes if k.endswith('.scale')]
    seed = info['weights_seed']
    values = {k: deterministic.uniform(k, (), 0.8, 1.2, seed) for k in scales}
    rest = {k: v for k, v in shapes.items() if k not in scales}
    values |= deterministic.fill_state(rest, seed)
    model.load_state_dict({k: torch.as_tensor(v) for k, v in values.items()})
    return model.to(dtype).eval()


@pytest.mark.parametrize('dtype', ['float32', 'float64'])
@pytest.mark.parametrize('name', cases('infer_paa_'))
@torch.no_grad()
def test_detections_are_mmdetections(name: str, dtype: str) -> None:
    case, wide = load(name), dtype == 'float64'
    own = getattr(torch, dtype)
    model = build(case, own)
    inputs, truth = batch(case, own)
    found = model(inputs, truth, mode='predict')
    prefix = 'float64/original' if wide else 'original'
    for i, sample in enumerate(found):
        x = sample.pred_instances
        theirs: Any = recorded(case.under(prefix), i)
        assert len(theirs[0]) > 20
        assert_same((x.bboxes, x.scores, x.labels), theirs, theirs, wide)


def test_voting_moves_boxes_and_nothing_else() -> None:
    voted, plain = (load(f'infer_paa_r18{x}') for x in ('', '_plain'))
    for i in range(2):
        a, b = (recorded(x.under('network'), i) for x in (voted, plain))
        assert sorted(a[1].tolist()) == sorted(b[1].tolist())
        assert not torch.equal(a[0].sort(0).values, b[0].sort(0).values)
