import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mpmath import exp, mpf
from torch.testing import assert_close
from torchvision.ops import generalized_box_iou, sigmoid_focal_loss

from freeanchor.losses.functional import (
    focal_negative,
    focal_negative_unless_matched,
    focal_positive,
    giou_loss,
    joint_logit,
    log_unless_matched,
    negative_log_mean_max,
    quality_focal,
    saturated_linear,
    smooth_l1,
)
from tests.reference import mean_max, mean_max_by_identity

log_probs = st.lists(st.floats(-60, -1e-9), min_size=1, max_size=12)
HUGE = torch.tensor([-1000.0, -30.0, -1.0, 0.0, 1.0, 30.0, 1000.0])


@given(log_probs)
def test_mean_max_is_the_papers(values: list[float]) -> None:
    ours = negative_log_mean_max(torch.tensor(values, dtype=torch.float64)).exp()
    probs = [exp(mpf(v)) for v in values]
    assert float(1 / ours) == pytest.approx(float(mean_max(probs)), rel=1e-6)
    assert float(mean_max(probs)) == pytest.approx(
        float(mean_max_by_identity(probs)), rel=1e-12
    )


@given(log_probs)
def test_mean_max_lies_between_mean_and_maximum(values: list[float]) -> None:
    x = torch.tensor(values, dtype=torch.float64)
    soft = (-negative_log_mean_max(x)).exp()
    assert x.exp().mean() <= soft * (1 + 1e-9)
    assert soft <= x.exp().max() * (1 + 1e-9)


def test_mean_max_is_the_maximum_once_one_is_sure() -> None:
    log_p = torch.tensor([[0.1, 0.2, 1.0]]).log()
    assert_close(negative_log_mean_max(log_p), torch.tensor([0.0]), atol=1e-6, rtol=0)


def test_mean_max_is_nearly_the_mean_while_all_are_unsure() -> None:
    probs = torch.tensor([0.001, 0.002, 0.003])
    assert_close(
        negative_log_mean_max(probs.log()), -probs.mean().log(), rtol=1e-3, atol=0
    )


def test_an_unlikely_bag_still_has_a_gradient() -> None:
    log_p = torch.tensor([-900.0, -901.0], requires_grad=True)
    loss = negative_log_mean_max(log_p)
    loss.backward()
    assert loss.item() == pytest.approx(900.38, abs=0.01)
    assert log_p.grad.sum().item() == pytest.approx(-1, rel=1e-4)


def test_saturated_linear_is_0_up_to_the_threshold_and_1_at_the_best() -> None:
    ious = torch.tensor([[0.1, 0.6, 0.7, 0.8]])
    assert_close(saturated_linear(ious, 0.6), torch.tensor([[0.0, 0.0, 0.5, 1.0]]))


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('threshold', [0.5, 0.6, 0.3])
def test_a_best_overlap_exactly_at_the_threshold_matches_nothing(
    dtype: torch.dtype, threshold: float
) -> None:
    ious = torch.tensor([[threshold, 0.2]], dtype=dtype)
    assert_close(saturated_linear(ious, threshold), torch.zeros_like(ious))


def test_no_object_has_no_rows() -> None:
    assert saturated_linear(torch.zeros(0, 7), 0.6).shape == (0, 7)


@given(st.floats(-15, 15), st.floats(1, 4))
def test_focal_terms_are_torchvisions(x: float, gamma: float) -> None:
    logit = torch.tensor(x, dtype=torch.float64)
    for target, ours in ((0.0, focal_negative), (1.0, focal_positive)):
        theirs = sigmoid_focal_loss(
            logit, torch.tensor(target, dtype=torch.float64), alpha=-1, gamma=gamma
        )
        assert_close(ours(logit, gamma), theirs, rtol=1e-8, atol=1e-14)


@given(st.floats(-15, 15), st.floats(1e-6, 1), st.floats(1, 4))
def test_a_matched_anchor_costs_what_its_probability_costs(
    x: float, match: float, gamma: float
) -> None:
    ours = focal_negative_unless_matched(
        torch.tensor(x, dtype=torch.float64),
        torch.tensor(match, dtype=torch.float64),
        gamma,
    )
    q = (1 - match) / (1 + math.exp(-x))
    assert ours.item() == pytest.approx(
        -(q**gamma) * math.log1p(-q), rel=1e-6, abs=1e-12
    )


def test_a_sure_match_costs_nothing() -> None:
    cost = focal_negative_unless_matched(HUGE, torch.ones_like(HUGE), 2.0)
    assert_close(cost, torch.zeros_like(HUGE), atol=1e-9, rtol=0)


@pytest.mark.parametrize('gamma', [0.5, 1.5, 2.0])
@pytest.mark.parametrize('match', [None, 1e-30, 0.5, 1.0])
def test_huge_logits_have_finite_values_and_gradients(
    gamma: float, match: float | None
) -> None:
    x = HUGE.clone().requires_grad_()
    if match is None:
        cost = focal_negative(x, gamma)
    else:
        cost = focal_negative_unless_matched(x, torch.full_like(x, match), gamma)
    (grad,) = torch.autograd.grad(cost.sum(), x)
    assert cost.isfinite().all()
    assert grad.isfinite().all()


def test_a_wrong_certainty_costs_in_proportion_to_its_logit() -> None:
    assert_close(focal_negative(torch.tensor([30.0, 1000.0]), 2.0),
                 torch.tensor([30.0, 1000.0]))  # fmt: skip


def test_smooth_l1_without_beta_is_l1() -> None:
    a, b = torch.randn(5, 4), torch.randn(5, 4)
    assert_close(smooth_l1(a, b, beta=0.0), (a - b).abs().sum(dim=1))


def test_a_match_of_zero_leaves_the_probability_as_it_is() -> None:
    log_q, log_not_q = log_unless_matched(HUGE, torch.zeros_like(HUGE))
    assert_close(log_q, torch.nn.functional.logsigmoid(HUGE))
    assert_close(log_not_q, torch.nn.functional.logsigmoid(-HUGE))


def test_giou_is_torchvisions() -> None:
    boxes, others = torch.rand(2, 50, 4, dtype=torch.float64) * 60
    boxes[:, 2:] += boxes[:, :2]
    others[:, 2:] += others[:, :2]
    theirs = generalized_box_iou(boxes, others)
    assert_close(giou_loss(boxes[:, None], others), 1 - theirs)


def test_giou_of_boxes_without_area_is_finite_with_its_gradient() -> None:
    point = torch.tensor([[5.0, 5, 5, 5]]).requires_grad_()
    value = giou_loss(point, torch.tensor([[5.0, 5, 5, 5]])).sum()
    assert value.isfinite()
    assert torch.autograd.grad(value, point)[0].isfinite().all()


def test_quality_focal_is_the_papers_formula() -> None:
    x = torch.linspace(-5, 5, 21, dtype=torch.float64)[:, None]
    t = torch.linspace(0, 1, 11, dtype=torch.float64).expand(21, 11)
    p = x.sigmoid()
    entropy = -(t * p.log() + (1 - t) * (1 - p).log())
    assert_close(quality_focal(x.expand(21, 11), t, 2.0), (t - p).abs() ** 2 * entropy)


def test_quality_focal_without_quality_is_that_of_background() -> None:
    zero = torch.zeros_like(HUGE)
    assert_close(quality_focal(HUGE, zero, 2.0), focal_negative(HUGE, 2.0))


def test_a_joint_logit_is_that_of_the_product() -> None:
    x = torch.linspace(-8, 8, 9, dtype=torch.float64)[:, None]
    q = torch.linspace(-6, 6, 7, dtype=torch.float64)
    assert_close(joint_logit(x, q), torch.logit(x.sigmoid() * q.sigmoid()))


def test_a_joint_logit_of_extremes_is_finite_with_its_gradient() -> None:
    x = HUGE[:, None].clone().requires_grad_()
    value = joint_logit(x, HUGE)
    assert value.isfinite().all()
    assert torch.autograd.grad(value.sum(), x)[0].isfinite().all()
