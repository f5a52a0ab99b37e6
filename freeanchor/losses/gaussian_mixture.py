"""Two Gaussians fitted to each of many small sets of numbers, all at once."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

# What scikit-learn adds, for sets of equal values and for components of none.
_LEAST_VARIANCE = 1e-6
_LEAST_COUNT = 10 * torch.finfo(torch.float64).eps


class Mixtures(NamedTuple):
    """A mixture of two Gaussians for each of G sets, float64."""

    weights: Tensor  # (G, 2), each row sums to 1
    means: Tensor  # (G, 2)
    variances: Tensor  # (G, 2)

    def log_densities(self, values: Tensor) -> Tensor:
        """Log of each component's weight times its density.

        Args:
            values: ``(G, N)``, N points for each mixture.

        Returns:
            ``(G, N, 2)``; ``logsumexp`` over the last dimension is the log
            density of the mixture.
        """
        weights, means, variances = (x[:, None] for x in self)  # (G, 1, 2)
        exponent = (values[..., None] - means) ** 2 / variances
        return weights.log() - (math.log(2 * math.pi) + variances.log() + exponent) / 2


@torch.no_grad()
def fit_two_gaussians(
    values: Tensor, present: Tensor, tolerance: float = 1e-3, max_steps: int = 100
) -> Mixtures:
    """Maximum likelihood by expectation maximisation, one mixture a row.

    The components start at the least and the greatest value, with variance 1
    and equal weights, as in MMDetection's PAA. Steps, stopping rule and what
    keeps degenerate sets finite are those of scikit-learn's
    ``GaussianMixture``; its numbers agree. Rows stop one by one.

    Args:
        values: ``(G, N)``; each row is a set of up to N numbers.
        present: ``(G, N)`` bool, which entries belong to the set. A row with
            none gets some finite mixture.
        tolerance: A row is done once its mean log likelihood changes by less.
        max_steps: Steps after which a row is done anyway.
    """
    values = values.double().where(present, 0)
    low = values.where(present, math.inf).amin(dim=1)
    high = values.where(present, -math.inf).amax(dim=1)
    count = present.sum(dim=1)
    means = torch.stack([low, high], dim=1).where(count[:, None] > 0, 0)
    found = Mixtures(torch.full_like(means, 0.5), means, torch.ones_like(means))
    running, previous = count > 0, torch.full_like(low, -math.inf)
    for _ in range(max_steps):
        # On a GPU looking would mean waiting for it, each time.
        if running.device.type == 'cpu' and not running.any():
            break
        log_parts = found.log_densities(values)
        log_density = torch.logaddexp(*log_parts.unbind(dim=2))  # (G, N)
        shares = (log_parts - log_density[..., None]).exp()
        better = _maximised(values, shares.where(present[..., None], 0))
        found = Mixtures(
            *(new.where(running[:, None], old) for new, old in zip(better, found))
        )
        likelihood = log_density.where(present, 0).sum(dim=1) / count
        running = running & ((likelihood - previous).abs() >= tolerance)
        previous = likelihood
    return found


def _maximised(values: Tensor, shares: Tensor) -> Mixtures:
    """The mixtures that ``(G, N, 2)`` shares of the values speak for."""
    # scikit-learn's formulas are those of one more value, 0, that counts for
    # next to nothing: without it a component that has no share is 0 / 0.
    counts = shares.sum(dim=1) + _LEAST_COUNT  # (G, 2)
    means = (shares * values[..., None]).sum(dim=1) / counts
    squares = shares * (values[..., None] - means[:, None]) ** 2
    variances = (squares.sum(dim=1) + _LEAST_COUNT * means**2) / counts
    return Mixtures(
        counts / counts.sum(dim=1, keepdim=True), means, variances + _LEAST_VARIANCE
    )
