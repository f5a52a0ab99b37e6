import pytest
import torch
from torch import Tensor

from freeanchor.losses.gaussian_mixture import fit_two_gaussians
from tests.parity.goldens import load

CASE = load('gaussian_mixtures')
NAMES = sorted({key.split('/')[0] for key in CASE})


def padded(sets: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Sets of numbers as rows, and which entries are numbers of theirs."""
    width = max(map(len, sets))
    values = torch.full((len(sets), width), torch.nan, dtype=torch.float64)
    for row, own in zip(values, sets):
        row[: len(own)] = own
    return values, ~values.isnan()


SETS = [torch.from_numpy(CASE[f'{name}/values']) for name in NAMES]
ALL_AT_ONCE = fit_two_gaussians(*padded(SETS))


@pytest.mark.parametrize('name', NAMES)
def test_mixtures_are_scikit_learns(name: str) -> None:
    row = NAMES.index(name)
    for key, ours in zip(('weights', 'means', 'variances'), ALL_AT_ONCE):
        theirs = torch.from_numpy(CASE[f'{name}/{key}'])
        torch.testing.assert_close(ours[row], theirs, rtol=1e-6, atol=0, msg=key)


@pytest.mark.parametrize('name', NAMES)
def test_densities_and_components_are_scikit_learns(name: str) -> None:
    row = NAMES.index(name)
    own = type(ALL_AT_ONCE)(*(x[row : row + 1] for x in ALL_AT_ONCE))
    log_parts = own.log_densities(SETS[row][None])[0]  # (N, 2)
    torch.testing.assert_close(
        log_parts.logsumexp(dim=1),
        torch.from_numpy(CASE[f'{name}/log_density']),
        rtol=1e-6,
        atol=1e-6,
    )
    assert log_parts.argmax(dim=1).tolist() == CASE[f'{name}/component'].tolist()


@pytest.mark.parametrize('name', NAMES)
def test_a_row_does_not_depend_on_the_others(name: str) -> None:
    row = NAMES.index(name)
    alone = fit_two_gaussians(*padded([SETS[row]]))
    for together, own in zip(ALL_AT_ONCE, alone):
        torch.testing.assert_close(together[row], own[0], rtol=1e-12, atol=0)


@pytest.mark.parametrize('name', NAMES)
def test_a_row_stops_where_scikit_learn_stops(name: str) -> None:
    row, steps = NAMES.index(name), int(CASE[f'{name}/steps'])
    before, at, after = (
        torch.cat(fit_two_gaussians(*padded([SETS[row]]), max_steps=steps + more))
        for more in (-1, 0, 1)
    )
    assert torch.equal(at, after)
    if name.startswith(('uniform', 'skewed')):  # others reach a fixed point
        assert not torch.equal(before, at)


def test_the_order_of_values_does_not_matter() -> None:
    for own in SETS:
        shuffled = own[torch.randperm(len(own))]
        for x, y in zip(*(fit_two_gaussians(*padded([z])) for z in (own, shuffled))):
            torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    'values',
    [[], [2.0], [0.0, 0.0], [1e-30, 1e30], [3.0] * 45, [0.0] * 44 + [1e6]],
    ids=str,
)
def test_degenerate_sets_have_finite_mixtures(values: list[float]) -> None:
    own = torch.tensor(values, dtype=torch.float64)
    table, present = padded([own, torch.ones(45)])
    for found in fit_two_gaussians(table, present):
        assert found.isfinite().all()
    weights, _, variances = fit_two_gaussians(table, present)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2, dtype=torch.float64))
    assert (variances > 0).all()


def test_no_sets_at_all_have_no_mixtures() -> None:
    found = fit_two_gaussians(torch.zeros(0, 45), torch.zeros(0, 45, dtype=torch.bool))
    assert [tuple(x.shape) for x in found] == [(0, 2)] * 3


def test_the_likelihood_never_falls_from_step_to_step() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(20, 30, generator=generator, dtype=torch.float64) * 3
    present = torch.rand(20, 30, generator=generator) < 0.7
    last = torch.full((20,), -torch.inf, dtype=torch.float64)
    for steps in range(1, 12):
        found = fit_two_gaussians(values, present, tolerance=0, max_steps=steps)
        density = found.log_densities(values).logsumexp(dim=2)
        likelihood = density.where(present, 0).sum(dim=1)
        assert (likelihood >= last - 1e-4).all()  # the least variance costs a little
        last = likelihood
