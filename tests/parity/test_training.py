"""A whole model in training: losses, gradients and steps against MMDetection's.

Tolerances are those of the goldens' README. float64 tells tightly whether the
mathematics is the same; float32 whether the numbers a user sees are.
"""

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper

from .goldens import cases, deterministic, load
from .models import batch, build

FLOAT32 = dict(loss=1e-5, later=5e-2, total=1e-3, norm=2e-2, dot=1e-1, stepped=1e-5)
FLOAT64 = dict(loss=1e-6, later=1e-4, total=1e-5, norm=1e-5, dot=1e-4, stepped=1e-5)


def params() -> list[Any]:
    """float64 where a case has it, float32 everywhere; large models are slow."""
    heavy = [pytest.mark.slow, pytest.mark.heavy]
    found = []
    for name in cases('train_'):
        quick = name.endswith(('r18', 'r50', '_empty'))
        marks = [] if quick else [pytest.mark.slow]
        found.append(pytest.param((name, 'float32'), marks=marks))
        if 'float64/grad_l2' in load(name):
            found.append(pytest.param((name, 'float64'), marks=marks and heavy))
    return found


@pytest.fixture(scope='module', params=params(), ids='-'.join)
def run(request: pytest.FixtureRequest) -> 'Run':
    return Run(*request.param)


class Run:
    """A case trained for its steps, with what was seen on the way."""

    def __init__(self, name: str, dtype: str) -> None:
        case = load(name)
        wide = dtype == 'float64'
        self.golden = {**case, **(case.under('float64') if wide else {})}
        self.tolerance = FLOAT64 if wide else FLOAT32
        model, cfg = build(case.info, getattr(torch, dtype))
        model.train()
        inputs, samples = batch(case, getattr(torch, dtype))
        optim = cfg.optim_wrapper.copy()
        optim.clip_grad = case.info['clip_grad']
        wrapper = build_optim_wrapper(model, optim)

        self.info, self.losses = case.info, []
        for step in range(case.info['steps'] + 1):
            losses = model(inputs, samples, mode='loss')
            self.losses.append({k: v.item() for k, v in losses.items()})
            if step == case.info['steps']:
                break
            total = sum(losses.values())
            if step == 0:
                self.measure(model, total)
            wrapper.update_params(total)
            if step == 0:
                self.stepped = {
                    k: v.detach().double().norm().item()
                    for k, v in model.named_parameters()
                }
        self.frozen = [k for k, v in model.named_parameters() if not v.requires_grad]

    def measure(self, model: torch.nn.Module, total: torch.Tensor) -> None:
        names = [str(x) for x in self.golden['grad_names']]
        params = dict(model.named_parameters())
        grads = torch.autograd.grad(
            total, [params[n] for n in names], retain_graph=True
        )
        self.norms, self.dots = {}, {}
        for name, grad in zip(names, grads):
            grad = grad.double().numpy()
            self.norms[name] = np.linalg.norm(grad)
            probe = deterministic.uniform(
                'probe/' + name,
                grad.shape,
                -1,
                1,
                self.info['weights_seed'],
                np.float64,
            )
            self.dots[name] = (grad * probe).sum()


def test_losses_before_the_first_step_are_mmdetections(run: Run) -> None:
    for term, value in run.losses[0].items():
        theirs = run.golden[f'loss/{term}'][0]
        assert value == pytest.approx(theirs, rel=run.tolerance['loss'], abs=1e-9), term


def test_losses_after_steps_are_mmdetections(run: Run) -> None:
    for step, losses in enumerate(run.losses[1:], start=1):
        for term, value in losses.items():
            theirs = run.golden[f'loss/{term}'][step]
            tolerance = run.tolerance['later']
            assert value == pytest.approx(theirs, rel=tolerance, abs=1e-9), (term, step)


def test_gradient_norms_are_mmdetections(run: Run) -> None:
    total = np.sqrt(sum(x**2 for x in run.norms.values()))
    theirs = run.golden['grad_total_l2']
    assert total == pytest.approx(theirs, rel=run.tolerance['total'])
    for (name, ours), theirs in zip(run.norms.items(), run.golden['grad_l2']):
        tolerance = run.tolerance['norm']
        assert ours == pytest.approx(theirs, rel=tolerance, abs=1e-9), name


def test_gradients_point_where_mmdetections_do(run: Run) -> None:
    names, norms = run.golden['grad_names'], run.golden['grad_l2']
    for name, norm, theirs in zip(names, norms, run.golden['grad_dot']):
        limit = run.tolerance['dot'] * norm + 1e-9
        assert abs(run.dots[str(name)] - theirs) <= limit, name


def test_weights_after_a_step_are_mmdetections(run: Run) -> None:
    norms = run.golden['param_l2_after_step']
    for name, theirs in zip(run.golden['grad_names'], norms):
        tolerance = run.tolerance['stepped']
        assert run.stepped[str(name)] == pytest.approx(theirs, rel=tolerance), name


def test_the_same_parameters_are_frozen(run: Run) -> None:
    assert sorted(run.frozen) == sorted(run.info['frozen'])
