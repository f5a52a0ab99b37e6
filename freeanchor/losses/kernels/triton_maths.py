"""Formulas of the losses in Triton, in float32.

Hardware's ``exp`` and ``log`` are approximate: relative to the result, about
1e-6 and, for a logarithm near 0, anything. So logarithms of ``1 + e`` are
series.
"""

import triton
import triton.language as tl


@triton.jit
def log1p_of_fraction(x):
    """``log(1 + x)`` for x in [-0.5, 1], to float32's last digits or so."""
    s = x / (2 + x)  # log(1 + x) = 2 artanh(s), |s| <= 1/3
    t = s * s
    series = 1 / 13 + t * (1 / 15)
    series = 1 / 9 + t * (1 / 11 + t * series)
    series = 1 / 3 + t * (1 / 5 + t * (1 / 7 + t * series))
    return 2 * s * (1 + t * series)


@triton.jit
def sigmoids(x):
    """``sigmoid(x)``, ``sigmoid(-x)`` and ``softplus(x)``."""
    e = tl.exp(-tl.abs(x))
    larger, smaller = 1 / (1 + e), e / (1 + e)
    p = tl.where(x >= 0, larger, smaller)
    not_p = tl.where(x >= 0, smaller, larger)
    return p, not_p, tl.maximum(x, 0) + log1p_of_fraction(e)


@triton.jit
def power(p, log_p, GAMMA: tl.constexpr):  # noqa: N803
    """``p ** GAMMA``."""
    if GAMMA == 2:
        return p * p
    return tl.exp(GAMMA * log_p)


@triton.jit
def focal_negative(x, GAMMA: tl.constexpr):  # noqa: N803
    """``p^gamma softplus(x)`` and its derivative."""
    p, not_p, softplus = sigmoids(x)
    weight = power(p, x - softplus, GAMMA)
    return weight * softplus, weight * (p + GAMMA * not_p * softplus)


@triton.jit
def focal_negative_unless_matched(x, match, GAMMA: tl.constexpr):  # noqa: N803
    """``q^gamma -log(1 - q)`` of ``q = p (1 - match)``, and its derivative."""
    p, not_p, softplus = sigmoids(x)
    # As in the plain form, a certain match leaves q a last digit.
    unmatched = tl.maximum(1 - match, 1.1920929e-07)
    q = p * unmatched
    not_q = tl.maximum(not_p + p * match, 1e-37)  # a sum: nothing cancels
    near_zero = -log1p_of_fraction(-tl.minimum(q, 0.5))
    cost = tl.where(q <= 0.5, near_zero, -tl.log(not_q))
    weight = power(q, x - softplus + tl.log(unmatched), GAMMA)
    return weight * cost, weight * not_p * (GAMMA * cost + q / not_q)
