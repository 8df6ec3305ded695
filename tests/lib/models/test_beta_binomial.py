"""The beta-binomial likelihood against scipy, finite differences and its two limits."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from torch.nn import functional

from stages.lib.models import beta_binomial

LOGITS = st.floats(-8, 8)


def loss(logit, log_s, successes, tries, max_tries=None):
    values = [torch.tensor([float(x)], dtype=torch.float64) for x in (logit, log_s, successes / tries, tries)]
    return beta_binomial.compute_loss(*values, max_tries or math.ceil(tries)).item()


@settings(max_examples=200)
@given(LOGITS, st.floats(-5, 8), st.integers(1, 20), st.data())
def test_likelihood_is_that_of_scipy_up_to_the_binomial_coefficient(logit, log_s, tries, data):
    successes = data.draw(st.integers(0, tries))
    mu, s = special.expit(logit), math.exp(log_s)
    expected = stats.betabinom.logpmf(successes, tries, mu * s, special.expit(-logit) * s)
    expected -= math.log(math.comb(tries, successes))
    assert loss(logit, log_s, successes, tries) == pytest.approx(-expected, rel=1e-6, abs=1e-6)
    assert loss(logit, log_s, successes, tries, tries + 5) == pytest.approx(-expected, rel=1e-6, abs=1e-6)


@given(st.floats(-60, 60), st.floats(-20, 20), st.floats(0, 1))
def test_one_try_is_cross_entropy_whatever_the_concentration(logit, log_s, label):
    bce = functional.binary_cross_entropy_with_logits(
        torch.tensor(logit, dtype=torch.float64), torch.tensor(label, dtype=torch.float64)
    )
    assert loss(logit, log_s, label, 1) == pytest.approx(bce.item(), rel=1e-9, abs=1e-12)
    assert loss(logit, log_s, label, 1, 8) == pytest.approx(bce.item(), rel=1e-9, abs=1e-12)


@given(LOGITS, st.integers(0, 8))
def test_a_large_concentration_is_cross_entropy_on_the_share_once_for_each_try(logit, successes):
    share = torch.tensor(successes / 8, dtype=torch.float64)
    bce = functional.binary_cross_entropy_with_logits(torch.tensor(logit, dtype=torch.float64), share).item()
    assert loss(logit, 25, successes, 8) == pytest.approx(8 * bce, rel=1e-5)


@given(st.lists(st.tuples(LOGITS, st.floats(-4, 6), st.integers(0, 7)), min_size=1, max_size=4))
@settings(max_examples=30)
def test_gradients_are_those_of_finite_differences(rows):
    logit, log_s = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in list(zip(*rows, strict=True))[:2])
    tries = torch.tensor([max(1.0, k + i) for i, (_, _, k) in enumerate(rows)], dtype=torch.float64)
    rate = torch.tensor([float(k) for *_, k in rows], dtype=torch.float64) / tries
    rate = rate.clamp(max=1)

    def total(a, b):
        return beta_binomial.compute_loss(a, b, rate, tries, 11).sum()

    assert torch.autograd.gradcheck(total, (logit, log_s), atol=1e-5)


def test_extreme_outputs_keep_loss_and_gradient_finite():
    logit = torch.tensor([-200.0, 200.0, 90.0, 0.0], requires_grad=True)
    log_s = torch.tensor([-80.0, 80.0, 40.0, -90.0], requires_grad=True)
    rate, tries = torch.tensor([1.0, 0.0, 0.5, 0.25]), torch.tensor([8.0, 8.0, 2.0, 4.0])
    loss = beta_binomial.compute_loss(logit, log_s, rate, tries, 8)
    loss.sum().backward()
    assert loss.isfinite().all() and logit.grad.isfinite().all() and log_s.grad.isfinite().all()
