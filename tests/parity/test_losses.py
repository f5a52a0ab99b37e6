"""Losses, gradients, bags and assignments against MMDetection's.

Where MMDetection's float32 has run out of digits (a logit beyond 15, an
object less likely than 1e-11), its numbers are of its rounding: there ours
are held against the 60-digit reference instead.
"""

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from freeanchor.boxes import AnchorGenerator, DeltaBoxCoder
from freeanchor.losses import FreeAnchorLoss, RetinaLoss
from freeanchor.losses.entries import Entries
from freeanchor.structures import DensePredictions, Objects, check_objects
from tests.batches import flat, sample
from tests.reference import FreeAnchorReference, numbers

from .goldens import Case, cases, load

SATURATED = 15.0  # logits; float32 has no digit of 1 - sigmoid(17) left
UNLIKELY = 25.0  # -log(probability); MMDetection's gradient fades from 27.6 on
DTYPES = {'loss': torch.float32, 'loss_float64': torch.float64}


class Setup:
    """One case in one dtype: leaves, predictions, objects and our loss."""

    def __init__(self, case: Case, dtype: torch.dtype) -> None:
        settings = case.info['settings']
        self.num_classes = settings['num_classes']
        self.leaves = {
            f'{kind}_{level}': torch.from_numpy(case[f'{kind}_{level}'])
            .to(dtype)
            .requires_grad_()
            for kind in ('cls_score', 'bbox_pred')
            for level in range(5)
        }
        anchors = {**settings['anchor_generator']}
        anchors.pop('type')
        maps = [self.leaves[f'cls_score_{level}'] for level in range(5)]
        coder = settings['bbox_coder']
        self.predictions = DensePredictions.from_maps(
            logits=maps,
            deltas=[self.leaves[f'bbox_pred_{level}'] for level in range(5)],
            anchors=AnchorGenerator(**anchors)([x.shape[-2:] for x in maps]),
            coder=DeltaBoxCoder(coder['target_stds'], coder['target_means']),
        )
        self.samples = samples(case)
        self.objects = Objects.gather(self.samples)
        self.loss = loss_of(case)

    def terms(self) -> dict[str, Tensor]:
        return self.loss(self.predictions, self.objects)

    def gradients(self, term: Tensor) -> dict[str, Tensor]:
        leaves = list(self.leaves.values())
        grads = torch.autograd.grad(term, leaves, retain_graph=True, allow_unused=True)
        return {
            name: torch.zeros_like(leaf) if grad is None else grad
            for (name, leaf), grad in zip(self.leaves.items(), grads)
        }

    @property
    def highest_logit(self) -> float:
        return max(x.detach().max().item() for x in self.predictions.logits)

    def has_digits(self, term: str) -> bool:
        """Whether MMDetection's float32 still tells this term's gradient."""
        if term == 'positive_bag_loss' and len(self.objects):
            objects, anchors = self.objects, torch.cat(self.predictions.anchors)
            bag = self.loss.bags(anchors, objects.boxes)
            members = Entries(objects.image[:, None], bag, objects.labels[:, None])
            logits = members.read(self.predictions.logits)
            cost = self.loss.positive_bag_loss(self.predictions, objects, bag, logits)
            if cost.detach().max() > UNLIKELY:
                return False
        return self.highest_logit < SATURATED


def samples(case: Case) -> list[BaseDataElement]:
    return [
        sample(
            case[f'gt_bboxes_{i}'],
            case[f'gt_labels_{i}'],
            tuple(img_shape),
            pad_shape=tuple(pad_shape),
            img_path=f'picture_{i}.jpg',
        )
        for i, (img_shape, pad_shape) in enumerate(
            zip(case.info['img_shape'], case.info['pad_shape'])
        )
    ]


def loss_of(case: Case) -> nn.Module:
    settings = case.info['settings']
    box = settings['loss_bbox']
    common: dict[str, Any] = dict(
        box_weight=box.get('loss_weight', 1.0), beta=box.get('beta', 0.0)
    )
    if box['type'] == 'SmoothL1Loss':
        common['beta'] = box.get('beta', 1.0)
    if case.info['kind'] == 'retinanet':
        focal = settings['loss_cls']
        return RetinaLoss(alpha=focal['alpha'], gamma=focal['gamma'], **common)
    return FreeAnchorLoss(
        bag_size=settings.get('pre_anchor_topk', 50),
        iou_thr=settings.get('bbox_thr', 0.6),
        gamma=settings.get('gamma', 2.0),
        alpha=settings.get('alpha', 0.5),
        **common,
    )


CASES = {
    name: load(name)
    for kind in ('freeanchor', 'retinanet')
    for name in cases(f'loss_{kind}_')
}
SOUND = [k for k, v in CASES.items() if v.info['expect'] == 'values']
UNSOUND = [k for k in CASES if k not in SOUND]
FREE_ANCHOR = [k for k in SOUND if CASES[k].info['kind'] == 'freeanchor']
RETINA = [k for k in SOUND if CASES[k].info['kind'] == 'retinanet']
CLEAR = [k for k in SOUND if not CASES[k].info.get('tied_bags')]
SATURATING = [
    k
    for k in FREE_ANCHOR
    if max(CASES[k][f'cls_score_{level}'].max() for level in range(5)) > SATURATED
]


@pytest.mark.parametrize('prefix', DTYPES)
@pytest.mark.parametrize('name', SOUND)
def test_losses_are_mmdetections(name: str, prefix: str) -> None:
    case = CASES[name]
    setup = Setup(case, DTYPES[prefix])
    tied = case.info.get('tied_bags')
    tolerance = 1e-2 if tied else 1e-5 if prefix == 'loss' else 1e-6
    for term, value in setup.terms().items():
        if term == 'negative_bag_loss' and setup.highest_logit > SATURATED:
            continue  # see test_saturated_losses_are_the_references
        accepted = [float(case[f'{prefix}/{term}'])]
        if tied and f'loss_other_ties/{term}' in case:
            accepted.append(float(case[f'loss_other_ties/{term}']))
        assert any(
            value.item() == pytest.approx(x, rel=tolerance, abs=1e-12) for x in accepted
        ), (term, value.item(), accepted)


@pytest.mark.parametrize('name', CLEAR)
def test_gradients_are_mmdetections(name: str) -> None:
    case = CASES[name]
    setup = Setup(case, torch.float32)
    for term, value in setup.terms().items():
        if not setup.has_digits(term):
            continue
        for leaf, ours in setup.gradients(value).items():
            key = f'grad/{term}/{leaf}'
            norm = float(case[f'l2/{key}'])
            assert ours.norm().item() == pytest.approx(norm, rel=1e-4, abs=1e-12), key
            if key in case:
                assert_close_to_largest(ours, case[key], key)
            elif f'{key}/every7' in case:
                part = ours.reshape(-1)[::7]
                assert_close_to_largest(part, case[f'{key}/every7'], key)


def assert_close_to_largest(ours: Tensor, theirs: np.ndarray, key: str) -> None:
    limit = 1e-4 * np.abs(theirs).max()
    assert np.abs(ours.numpy() - theirs).max() <= limit, key


@pytest.mark.parametrize('name', FREE_ANCHOR)
def test_bags_hold_the_same_anchors(name: str) -> None:
    case = CASES[name]
    setup = Setup(case, torch.float32)
    anchors = torch.cat(setup.predictions.anchors)
    for i, picture in enumerate(setup.samples):
        if f'bag_anchors_{i}' not in case:
            continue
        bags = setup.loss.bags(anchors, picture.gt_instances.bboxes).sort(dim=1).values
        clear = case[f'bag_gap_{i}'] > 1e-6
        np.testing.assert_array_equal(
            bags.numpy()[clear], case[f'bag_anchors_{i}'][clear]
        )


@pytest.mark.parametrize('name', RETINA)
def test_assignments_are_mmdetections(name: str) -> None:
    case = CASES[name]
    setup = Setup(case, torch.float32)
    assigned = setup.loss.assign(setup.predictions, setup.objects)
    background = setup.num_classes
    labels = torch.cat([setup.objects.labels, torch.tensor([background])])
    ours = labels[assigned.clamp(min=-1)].numpy()  # -1 finds the last entry
    counted = assigned != -2
    np.testing.assert_array_equal(counted.float().numpy(), case['label_weights'])
    np.testing.assert_array_equal(
        ours[counted.numpy()], case['assigned_labels'][counted.numpy()]
    )
    positives = (assigned >= 0).sum(dim=1).clamp(min=1).sum()
    assert positives.item() == case.info['avg_factor']


@pytest.mark.parametrize('name', SATURATING)
def test_saturated_losses_are_the_references(name: str) -> None:
    case = CASES[name]
    setup = Setup(case, torch.float32)
    settings = case.info['settings']
    objects = [
        list(zip(case[f'gt_bboxes_{i}'].tolist(), case[f'gt_labels_{i}'].tolist()))
        for i in range(len(setup.samples))
    ]
    reference = FreeAnchorReference(
        torch.cat(setup.predictions.anchors).tolist(),
        objects,
        settings['bbox_coder']['target_stds'],
        **{
            key: getattr(setup.loss, key)
            for key in ('bag_size', 'iou_thr', 'alpha', 'gamma', 'box_weight', 'beta')
        },
    )
    logits = numbers(flat(setup.predictions.logits).tolist())
    deltas = numbers(flat(setup.predictions.deltas).tolist())
    match = reference.match(deltas, setup.num_classes)
    terms = setup.terms()
    for term, truth in {
        'positive_bag_loss': reference.positive(logits, deltas),
        'negative_bag_loss': reference.negative(logits, match),
    }.items():
        assert terms[term].item() == pytest.approx(float(truth), rel=1e-5), term


@pytest.mark.parametrize('name', UNSOUND)
def test_what_mmdetection_cannot_do_is_refused_or_finite(name: str) -> None:
    case = CASES[name]
    setup = Setup(case, torch.float32)
    boxes = setup.objects.boxes
    sound = boxes.isfinite().all() and (boxes[:, 2:] > boxes[:, :2]).all()
    if not sound:
        with pytest.raises(ValueError, match=r'picture_\d.jpg'):
            check_objects(setup.samples, setup.num_classes)
        return
    check_objects(setup.samples, setup.num_classes)
    for term, value in setup.terms().items():
        assert value.isfinite(), term
        for leaf, grad in setup.gradients(value).items():
            assert grad.isfinite().all(), (term, leaf)
