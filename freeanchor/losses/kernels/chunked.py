"""The background's cost on a CPU, in pieces that stay in its cache.

Formulas over whole maps write every step's result to memory and read it back;
a dozen steps over a megabyte at a time cost a third.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from freeanchor.losses.reading import Levels

# Values at a time: few enough for the cache, enough to be worth a call.
_PIECE = 262144


class ChunkedBackground:
    """Sum of ``p^gamma * -log(1 - p)``; see ``losses.background``.

    Args:
        gamma: Focusing power.
        counted: ``(B, A)`` bool, anchors that take part; None for all.
    """

    def __init__(self, gamma: float, counted: Tensor | None = None) -> None:
        self.gamma = gamma
        self.counted = counted
        self._derivatives: list[Tensor] | None = None

    def read(self, levels: Levels, with_gradient: bool) -> Tensor:
        """Scalar, float32 or wider."""
        dtype = torch.promote_types(levels[0].dtype, torch.float32)
        # Half precision would lose small derivatives that are yet to be scaled.
        keep = with_gradient and levels[0].dtype == dtype
        total, derivatives = self._pass(levels, 1.0 if keep else None)
        self._derivatives = derivatives if keep else None
        return torch.tensor(total, dtype=dtype)

    def gradient(self, levels: Levels, grad: Tensor) -> list[Tensor]:
        """``grad`` times the derivative, in buffers with the maps' strides."""
        # Handed out once: a second backward must not find them scaled.
        derivatives, self._derivatives = self._derivatives, None
        if derivatives is None:
            return self._pass(levels, grad.item())[1]
        return [x.mul_(grad) for x in derivatives]

    def _pass(self, levels: Levels, scale: float | None) -> tuple[float, list]:
        """The sum, and ``scale`` times the derivative unless that is None."""
        total, start, derivatives = 0.0, 0, []
        wide = torch.promote_types(levels[0].dtype, torch.float32)
        workspace = _Workspace(wide)
        for level in levels:
            num_anchors = level.shape[1] * level.shape[2]
            counted = None
            if self.counted is not None:
                counted = self.counted[:, start : start + num_anchors]
                counted = counted.reshape(level.shape[:3])
            out = None if scale is None else torch.empty_like(level)
            for piece in _pieces(level, counted, out):
                total += _focal(*piece, self.gamma, scale, workspace)
            derivatives.append(out)
            start += num_anchors
        return total, derivatives


def _pieces(
    level: Tensor, counted: Tensor | None, out: Tensor | None
) -> Iterator[tuple[Tensor, Tensor | None, Tensor | None]]:
    """Contiguous parts of a level, of what counts there, and of ``out``."""
    for x, mask, into in _planes(level, counted, out):
        rows = max(1, _PIECE // x[0].numel())
        for i in range(0, len(x), rows):
            here = slice(i, i + rows)
            own = mask[here] if mask is not None and len(mask) > 1 else mask
            yield x[here], own, None if into is None else into[here]


def _planes(
    x: Tensor, counted: Tensor | None, out: Tensor | None
) -> Iterator[tuple[Tensor, Tensor | None, Tensor | None]]:
    """Contiguous parts of ``(B, P, K, C)`` in either memory format."""
    if counted is None:
        yield _as_stored(x), None, None if out is None else _as_stored(out)
    elif x.is_contiguous():  # channels last: B * P * K rows of C
        yield x.flatten(0, 2), counted.reshape(-1, 1), _rows(out)
    else:  # C rows of P
        for image in range(len(x)):
            for k in range(x.shape[2]):
                into = None if out is None else out[image, :, k].T
                yield x[image, :, k].T, counted[image, None, :, k], into


def _as_stored(x: Tensor) -> Tensor:
    """The values in one row, in the order of memory."""
    return (x if x.is_contiguous() else x.permute(0, 2, 3, 1)).view(-1)


def _rows(out: Tensor | None) -> Tensor | None:
    return None if out is None else out.flatten(0, 2)


class _Workspace:
    """Buffers for one piece after another: fresh memory costs more than maths."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.buffers = torch.empty(5, 0, dtype=dtype)

    def like(self, x: Tensor) -> tuple[Tensor, ...]:
        """Four contiguous buffers of the shape of ``x``, and ``x`` in the dtype."""
        if self.buffers.shape[1] < x.numel():
            self.buffers = self.buffers.new_empty(5, x.numel())
        *four, wide = (row[: x.numel()].view(x.shape) for row in self.buffers)
        return *four, x if x.dtype == wide.dtype else wide.copy_(x)


def _focal(
    x: Tensor,
    counted: Tensor | None,
    out: Tensor | None,
    gamma: float,
    scale: float | None,
    workspace: _Workspace,
) -> float:
    """Sum over a piece; ``scale`` times its derivative goes to ``out``."""
    p, not_p, softplus, power, x = workspace.like(x)
    total = math.inf
    for sigmoids in (_sigmoids, _careful_sigmoids):
        sigmoids(x, p, not_p, softplus)
        torch.pow(p, gamma, out=power)
        if counted is not None:
            power.mul_(counted)
        total = torch.dot(power.view(-1), softplus.view(-1)).item()
        if math.isfinite(total):
            break
    if out is not None:
        # d/dx p^gamma softplus(x) = p^gamma (p + gamma (1 - p) softplus(x))
        slope = torch.addcmul(p, softplus, not_p, value=gamma, out=p)
        if scale is not None and scale != 1:
            slope.mul_(scale)
        if out.dtype == slope.dtype:
            torch.mul(slope, power, out=out)
        else:
            out.copy_(slope.mul_(power))
    return total


def _sigmoids(x: Tensor, p: Tensor, not_p: Tensor, softplus: Tensor) -> None:
    """Write ``sigmoid(x)``, ``sigmoid(-x)`` and ``softplus(x)``.

    One exponential for all three, because it is what costs most. The softplus
    of what it overflows for is infinite.
    """
    exp = torch.exp(x, out=p)
    torch.log1p(exp, out=softplus)
    torch.add(exp, 1, out=not_p).reciprocal_()
    exp.mul_(not_p)


def _careful_sigmoids(x: Tensor, p: Tensor, not_p: Tensor, softplus: Tensor) -> None:
    """The same for any ``x``."""
    torch.sigmoid(x, out=p)
    torch.sigmoid(-x, out=not_p)
    torch.neg(F.logsigmoid(-x), out=softplus)
