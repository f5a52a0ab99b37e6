"""AutoAssign against MMDetection's: losses and gradients, its prior's too."""

import numpy as np
import pytest
import torch
from torch import Tensor

from freeanchor.boxes import AnchorGenerator, DeltaBoxCoder
from freeanchor.losses import AutoAssignLoss
from freeanchor.structures import DensePredictions, Objects

from .goldens import Case, cases, load
from .test_losses import samples

CASES = {name: load(name) for name in cases('loss_auto_assign_')}
STRIDES = (8, 16, 32, 64, 128)


class Setup:
    """One case: leaves, predictions, objects and our loss."""

    def __init__(self, case: Case, dtype: torch.dtype) -> None:
        self.loss = AutoAssignLoss(case.info['num_classes'])
        prior = dict(self.loss.center_prior.named_parameters())
        for key, parameter in prior.items():
            parameter.data = torch.from_numpy(case[key]).to(dtype)
        kinds = ('cls_score', 'bbox_pred', 'centerness')
        maps = {
            f'{kind}_{i}': torch.from_numpy(case[f'{kind}_{i}'])
            .to(dtype)
            .requires_grad_()
            for kind in kinds
            for i in range(5)
        }
        self.leaves = {**maps, **prior}
        logits, deltas, quality = ([maps[f'{k}_{i}'] for i in range(5)] for k in kinds)
        generator = AnchorGenerator(STRIDES, ratios=[1.0], scales=[8.0])
        self.predictions = DensePredictions.from_maps(
            logits,
            deltas,
            generator([x.shape[-2:] for x in logits]),
            DeltaBoxCoder(case.info['stds']),
            quality,
        )
        self.objects = Objects.gather(samples(case))

    def terms(self) -> dict[str, Tensor]:
        return self.loss(self.predictions, self.objects)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_losses_are_mmdetections(case: Case, dtype: torch.dtype) -> None:
    rel = 1e-5 if dtype == torch.float32 else 1e-7
    for term, value in Setup(case, dtype).terms().items():
        theirs = float(case[f'loss/{term}'])
        assert value.item() == pytest.approx(theirs, rel=rel, abs=1e-12), term


def test_gradients_are_mmdetections(case: Case) -> None:
    setup = Setup(case, torch.float64)
    for term, value in setup.terms().items():
        grads = torch.autograd.grad(
            value, list(setup.leaves.values()), retain_graph=True, allow_unused=True
        )
        for name, grad in zip(setup.leaves, grads):
            theirs = case.get(f'grad/{term}/{name}')
            if theirs is None:
                assert grad is None or not grad.any(), (term, name)
            else:
                limit = 1e-6 * np.abs(theirs).max()
                assert np.abs(grad.numpy() - theirs).max() <= limit, (term, name)
