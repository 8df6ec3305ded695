"""The linear law: known lines, correlations against scipy, and what does not exist is None."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from stages.lib.compression import law
from stages.lib.compression.law import Point

RNG = np.random.default_rng(1)


def make_points(bits, scores, flops=None, families=None):
    n = len(bits)
    return [
        Point(
            f"m{i}", (families or ["a"] * n)[i], float(bits[i]), float(scores[i]), None if flops is None else flops[i]
        )
        for i in range(n)
    ]


def test_an_exact_line():
    bits = [0.4, 0.5, 0.7, 1.1]
    fitted = law.fit(make_points(bits, [1 - 0.5 * x for x in bits]), 1, 200)
    assert fitted["a"] == pytest.approx(1) and fitted["b"] == pytest.approx(-0.5)
    assert fitted["r"] == pytest.approx(-1) and fitted["rho"] == pytest.approx(-1)
    assert fitted["r_interval"] == pytest.approx([-1, -1]) and fitted["loo_rmse"] == pytest.approx(0, abs=1e-12)
    assert fitted["loo_rmse_mean"] > 0.1 and fitted["partial_r"] is None


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=4, max_size=15))
def test_correlations_equal_those_of_scipy(pairs):
    x, y = np.round(np.array(pairs), 3).T
    fitted = law.fit(make_points(x, y), 1, 100)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert fitted["r"] is None and fitted["rho"] is None
    else:
        assert fitted["r"] == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-7)
        assert fitted["rho"] == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-9)


def test_the_left_out_error_is_that_of_refitting():
    x, y = RNG.normal(size=9), RNG.normal(size=9)
    errors = []
    for i in range(9):
        line = stats.linregress(np.delete(x, i), np.delete(y, i))
        errors.append(y[i] - line.intercept - line.slope * x[i])
    assert law.fit(make_points(x, y), 1, 100)["loo_rmse"] == pytest.approx(np.sqrt(np.mean(np.square(errors))))


def test_bits_that_only_follow_compute_tell_nothing_given_it():
    """Both sides are driven by compute: a high correlation of which nothing is left."""
    compute = np.linspace(10, 16, 200)
    noise = RNG.normal(size=(2, 200)) * 0.1
    points = make_points(3 - compute / 8 + noise[0], compute / 5 + noise[1], list(np.exp(compute)))
    fitted = law.fit(points, 1, 100)
    assert fitted["r"] < -0.7 and abs(fitted["partial_r"]) < 0.2 and fitted["r_compute"] > 0.7
    assert fitted["loo_rmse_compute"] < fitted["loo_rmse"]


def test_the_partial_correlation_is_the_closed_form():
    x, y, z = RNG.normal(size=(3, 30))
    r = np.corrcoef([x, y, z])
    expected = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    assert law.compute_partial(x, y, z) == pytest.approx(expected)
    assert law.compute_partial(2 * z + 1, y, z) is None, "compute explains the bits whole"


def test_the_interval_covers_and_is_keyed():
    """Over many draws of 20 models from a bivariate normal the 95 % interval holds the true correlation about as often."""
    true, inside = -0.7, 0
    for i in range(40):
        x = np.random.default_rng(i).normal(size=(2, 20))
        y = true * x[0] + np.sqrt(1 - true**2) * x[1]
        low, high = law.fit(make_points(x[0], y), i, 200)["r_interval"]
        inside += low <= true <= high
    assert 33 <= inside <= 40
    points = make_points(RNG.normal(size=12), RNG.normal(size=12))
    assert law.fit(points, 1, 100) == law.fit(points, 1, 100)
    assert law.fit(points, 1, 100)["r_interval"] != law.fit(points, 2, 100)["r_interval"]


def test_what_does_not_exist_is_none():
    two = law.fit(make_points([1, 2], [3, 4]), 1, 100)
    assert two["b"] is None and two["r"] is None and two["r_interval"] is None and two["loo_rmse"] is None
    flat = law.fit(make_points([1, 2, 3, 4], [0.1 + 0.2, 0.3, 0.3, 0.3]), 1, 100)
    assert flat["r"] is None and flat["r_interval"] is None, "a score that is constant up to rounding"
    mixed = law.fit(make_points([1, 2, 3, 4, 5], [5, 3, 2, 2, 1], families=list("aaabb")), 1, 100)
    assert mixed["families"]["a"]["b"] == pytest.approx(-1.5) and mixed["families"]["b"]["b"] is None
    assert mixed["families"]["b"]["n_models"] == 2
    assert law.fit(make_points([1, 2, 3, 4], [4, 2, 3, 1], [1e9, 1e10, None, 1e12]), 1, 100)["partial_r"] is None
