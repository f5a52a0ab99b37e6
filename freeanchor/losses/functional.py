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


def giou_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    """1 less the generalised overlap of two boxes, in [0, 2].

    Rezatofighi et al., https://arxiv.org/abs/1902.09630: boxes that are apart
    are told by the share of their common hull that neither covers.

    Args:
        boxes: ``(..., 4)`` xyxy, pixels.
        targets: ``(..., 4)`` xyxy, pixels; leading dimensions broadcast.

    Returns:
        ``(...)``, differentiable in both.
    """
    left, top, right, bottom = boxes.unbind(-1)
    left_t, top_t, right_t, bottom_t = targets.unbind(-1)
    shared = (torch.minimum(right, right_t) - torch.maximum(left, left_t)).clamp(
        min=0
    ) * (torch.minimum(bottom, bottom_t) - torch.maximum(top, top_t)).clamp(min=0)
    hull = (torch.maximum(right, right_t) - torch.minimum(left, left_t)) * (
        torch.maximum(bottom, bottom_t) - torch.minimum(top, top_t)
    )
    area = (right - left) * (bottom - top)
    union = area + (right_t - left_t) * (bottom_t - top_t) - shared
    # As in MMDetection: boxes without area overlap nothing.
    union, hull = union.clamp(min=1e-7), hull.clamp(min=1e-7)
    return 1 - shared / union + (hull - union) / hull


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


def negative_log_none(odds: Tensor) -> Tensor:
    """``-log(1 - Q)`` of a soft maximum Q of each bag, ``(..., K) -> (...)``.

    Q weights each probability ``q`` by ``q / (1 - q)^2``: the penalty of LTM
    on the members of a bag that are sure and should not be. Then
    ``1 / (1 - Q) = 1 + sum(o^2) / sum(o)`` of the odds ``o = q / (1 - q)``,
    where nothing cancels.

    Args:
        odds: ``log(q / (1 - q))``, finite.
    """
    ratio = torch.logsumexp(2 * odds, dim=-1) - torch.logsumexp(odds, dim=-1)
    return -F.logsigmoid(-ratio)


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
        match: Probability that the anchor is matched; same shape.
        gamma: Focusing power.
    """
    log_q, log_not_q = log_unless_matched(logits, match)
    return torch.exp(gamma * log_q) * -log_not_q


def log_unless_matched(logits: Tensor, match: Tensor) -> tuple[Tensor, Tensor]:
    """``log(q)`` and ``log(1 - q)`` of ``q = sigmoid(logits) * (1 - match)``.

    Args:
        logits: Any shape.
        match: Probability that the anchor is matched; same shape.
    """
    log_p, log_not_p = F.logsigmoid(logits), F.logsigmoid(-logits)
    eps = torch.finfo(match.dtype).eps
    log_q = log_p + torch.log1p(-match.clamp(max=1 - eps))
    # 1 - q = (1 - p) + p * match, a sum of positive terms: nothing cancels.
    log_match = match.clamp(min=torch.finfo(match.dtype).tiny).log()
    log_not_q = torch.logaddexp(log_not_p, log_p + log_match)
    return log_q, log_not_q.where(match > 0, log_not_p)


def joint_logit(logits: Tensor, others: Tensor) -> Tensor:
    """Logit of ``sigmoid(logits) * sigmoid(others)``; shapes broadcast."""
    log_p = F.logsigmoid(logits)
    both = log_p + F.logsigmoid(others)
    # 1 - p q = (1 - p) + p (1 - q), a sum of positive terms: nothing cancels.
    neither = torch.logaddexp(F.logsigmoid(-logits), log_p + F.logsigmoid(-others))
    return both - neither


def focal_positive(logits: Tensor, gamma: float) -> Tensor:
    """``(1 - p)^gamma * -log(p)`` of ``p = sigmoid(logits)``, elementwise."""
    return focal_negative(-logits, gamma)


def quality_focal(logits: Tensor, targets: Tensor, gamma: float) -> Tensor:
    """``|t - p|^gamma`` times the cross entropy of ``p = sigmoid(logits)`` with ``t``.

    The quality focal loss of https://arxiv.org/abs/2006.04388, equation 6,
    elementwise; at ``t = 0`` it is :func:`focal_negative`.

    Args:
        logits: Any shape.
        targets: Soft targets in [0, 1], same shape.
        gamma: Focusing power.
    """
    entropy = targets * F.logsigmoid(logits) + (1 - targets) * F.logsigmoid(-logits)
    return (targets - logits.sigmoid()).abs().pow(gamma) * -entropy
