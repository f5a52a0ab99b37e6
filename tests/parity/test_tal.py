"""TAL against MMDetection's TOODHead: losses, gradients and assignment."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from freeanchor.boxes import AnchorGenerator, DeltaBoxCoder
from freeanchor.losses import TALLoss
from freeanchor.structures import DensePredictions, Objects

from .goldens import Case, cases, load
from .test_losses import samples

CASES = {name: load(name) for name in cases('loss_tal_')}


class Setup:
    """One case: leaves, predictions, objects and our loss."""

    def __init__(self, case: Case, dtype: torch.dtype) -> None:
        settings: dict[str, Any] = case.info['settings']
        self.leaves = {
            f'{kind}_{level}': torch.from_numpy(case[f'{kind}_{level}'])
            .to(dtype)
            .requires_grad_()
            for kind in ('cls_score', 'bbox_pred')
            for level in range(5)
        }
        maps = [self.leaves[f'cls_score_{level}'] for level in range(5)]
        generator = {**settings['anchor_generator']}
        generator.pop('type')
        self.predictions = DensePredictions.from_maps(
            maps,
            [self.leaves[f'bbox_pred_{level}'] for level in range(5)],
            AnchorGenerator(**generator)([x.shape[-2:] for x in maps]),
            DeltaBoxCoder(settings['bbox_coder']['target_stds']),
        )
        self.objects = Objects.gather(samples(case))
        self.loss = TALLoss(eps=1e-7)

    def terms(self) -> dict[str, Tensor]:
        return self.loss(self.predictions, self.objects)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_losses_are_mmdetections(case: Case, dtype: torch.dtype) -> None:
    for term, value in Setup(case, dtype).terms().items():
        theirs = float(case[f'loss/{term}'])
        assert value.item() == pytest.approx(theirs, rel=1e-5, abs=1e-12), term


def test_gradients_are_mmdetections(case: Case) -> None:
    setup = Setup(case, torch.float64)
    leaves = list(setup.leaves.values())
    for term, value in setup.terms().items():
        grads = torch.autograd.grad(value, leaves, retain_graph=True, allow_unused=True)
        for name, grad in zip(setup.leaves, grads):
            theirs = case.get(f'grad/{term}/{name}')
            if theirs is None:
                assert grad is None or not grad.any(), (term, name)
            else:
                limit = 1e-4 * np.abs(theirs).max()
                assert np.abs(grad.numpy() - theirs).max() <= limit, (term, name)


def test_assignments_are_mmdetections(case: Case) -> None:
    setup = Setup(case, torch.float64)
    objects = setup.objects
    anchor, target = setup.loss.assign(setup.predictions, objects)
    shape = case['assigned_labels'].shape  # (B, A)
    assert shape == (setup.predictions.num_images, setup.predictions.num_anchors)
    background = setup.predictions.num_classes
    labels = torch.full(shape, background)
    targets = torch.zeros(shape, dtype=target.dtype)
    given = target > 0
    place = objects.image[:, None].expand_as(anchor)[given], anchor[given]
    labels[place] = objects.labels[:, None].expand_as(anchor)[given]
    targets[place] = target[given]
    np.testing.assert_array_equal(labels.numpy(), case['assigned_labels'])
    np.testing.assert_allclose(targets.numpy(), case['alignment'], rtol=1e-3, atol=1e-6)
    if len(objects):
        assert given.any()
