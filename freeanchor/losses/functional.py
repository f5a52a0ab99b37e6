"""Loss maths on plain tensors, one formula each.

Probabilities come as logits or logarithms, because ``1 - sigmoid(x)`` has no
digits left in float32 from x = 17 on.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def wide(x: Tensor) -> Tensor:
    """Half precision to float32; float32 and float64 stay as they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def smooth_l1(prediction: Tensor, target: Tensor, beta: float) -> Tensor:
    """Huber-like distance over the last dimension, ``(..., 4) -> (...)``.

    Quadratic below ``beta``, then linear; ``beta=0`` is the L1 distance.
    """
    loss = F.smooth_l1_loss(prediction, target, beta=beta, reduction='none')
    return loss.sum(dim=-1)


def negative_log_mean_max(log_probs: Tensor) -> Tensor:
    """``-log(Mean-max(p))`` of each bag, ``(..., K) -> (...)``.

    Mean-max (equation 7 of the paper) weights each member by ``1 / (1 - p)``:
    it is near the mean while all are unsure, and near the maximum once one of
    them is sure. In logarithms an unlikely bag costs what it should, with a
    gradient, where ``log(p)`` of an underflown ``p`` has neither.

    Args:
        log_probs: ``log(p)``, at most 0.
    """
    # As the official code does, 1 - p is kept above 1e-12: at p = 1 the
    # weight, not the loss, would be infinite.
    log_probs = log_probs.clamp(max=-1e-12)
    log_weights = -torch.log(-torch.expm1(log_probs))
    weighted = torch.logsumexp(log_weights + log_probs, dim=-1)
    return torch.logsumexp(log_weights, dim=-1) - weighted


def saturated_linear(ious: Tensor, threshold: float) -> Tensor:
    """Rescale each row to [0, 1], ``(G, A) -> (G, A)``; equation 5 of the paper.

    0 up to ``threshold``, 1 at the row's best, linear in between; a row that
    nowhere passes the threshold is all 0.
    """
    # threshold + 1e-12 would be the threshold itself in float32, and 0 / 0.
    eps = torch.finfo(ious.dtype).eps
    best = ious.amax(dim=1, keepdim=True).clamp(min=threshold + eps)
    return ((ious - threshold) / (best - threshold)).clamp(0, 1)


def saturated_linear_of_pairs(
    ious: Tensor, row: Tensor, num_rows: int, threshold: float
) -> Tensor:
    """:func:`saturated_linear` where it is above 0.

    Args:
        ious: ``(N,)`` all the entries of a ``(G, A)`` tensor above ``threshold``.
        row: ``(N,)`` int64, the row of each.
        num_rows: G.
        threshold: See :func:`saturated_linear`.

    Returns:
        ``(N,)`` values in (0, 1].
    """
    lowest = threshold + torch.finfo(ious.dtype).eps
    best = ious.new_full((num_rows,), lowest).scatter_reduce(0, row, ious, 'amax')
    return ((ious - threshold) / (best[row] - threshold)).clamp(0, 1)


def focal_negative(logits: Tensor, gamma: float) -> Tensor:
    """``p^gamma * -log(1 - p)`` of ``p = sigmoid(logits)``, elementwise.

    The cost of a probability that should be 0.
    """
    # Not F.softplus: from 20 on it leaves out what float64 still holds.
    return torch.exp(gamma * F.logsigmoid(logits)) * -F.logsigmoid(-logits)


def focal_negative_unless_matched(
    logits: Tensor, match: Tensor, gamma: float
) -> Tensor:
    """``q^gamma * -log(1 - q)`` of ``q = sigmoid(logits) * (1 - match)``.

    Args:
        logits: Any shape.
        match: Probability above 0 that the anchor is matched; same shape.
        gamma: Focusing power.
    """
    log_p, log_not_p = F.logsigmoid(logits), F.logsigmoid(-logits)
    eps = torch.finfo(match.dtype).eps
    log_q = log_p + torch.log1p(-match.clamp(max=1 - eps))
    # 1 - q = (1 - p) + p * match, a sum of positive terms: nothing cancels.
    return torch.exp(gamma * log_q) * -torch.logaddexp(
        log_not_p, log_p + match.clamp(min=torch.finfo(match.dtype).tiny).log()
    )


def focal_positive(logits: Tensor, gamma: float) -> Tensor:
    """``(1 - p)^gamma * -log(p)`` of ``p = sigmoid(logits)``, elementwise."""
    return focal_negative(-logits, gamma)
