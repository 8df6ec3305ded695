"""Means over trainings x problems: formulas by hand, coverage by simulation, the number of problems by simulation."""

import numpy as np
import pytest
from scipy import stats

from stages.lib.metrics import crossed


def simulate(random, trainings, units, of_training, of_unit, of_rest):
    """(trainings, units) with mean 0 and these SDs."""
    effects = of_training * random.standard_normal((trainings, 1)) + of_unit * random.standard_normal(units)
    return effects + of_rest * random.standard_normal((trainings, units))


@pytest.mark.parametrize("sds", [(0.0, 0.4, 0.3), (0.02, 0.4, 0.3), (0.05, 0.4, 0.2), (0.2, 0.3, 0.3), (0.01, 0, 0.4)])
@pytest.mark.parametrize(("trainings", "units"), [(2, 300), (3, 90), (5, 300)])
def test_intervals_cover_the_truth_for_any_share_of_the_variances(sds, trainings, units):
    random, hits, runs = np.random.default_rng(7), 0, 1000
    for _ in range(runs):
        interval = crossed.estimate_mean(simulate(random, trainings, units, *sds))
        hits += interval.low <= 0 <= interval.high
    assert hits / runs >= 0.92, hits / runs


def test_one_training_is_the_t_interval_over_problems():
    values = np.random.default_rng(1).random((1, 40))
    interval = crossed.estimate_mean(values)
    low, high = stats.t.interval(0.95, 39, values.mean(), stats.sem(values[0]))
    assert interval[:3] == pytest.approx((values.mean(), low, high))


def test_trainings_alone_are_the_t_interval_over_trainings():
    values = np.array([[0.1], [0.4], [0.3]]) + np.zeros(50)
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values[:, 0]))
    assert crossed.estimate_mean(values)[1:3] == pytest.approx((low, high))


def test_variance_is_the_two_way_table_by_brute_force():
    values = simulate(np.random.default_rng(3), 4, 30, 0.5, 0.4, 0.3)
    t, n = values.shape
    of_units, of_trainings = t * values.mean(0).var(ddof=1), n * values.mean(1).var(ddof=1)
    rest = values - values.mean(0) - values.mean(1)[:, None] + values.mean()
    of_rest = (rest**2).sum() / ((t - 1) * (n - 1))
    error = ((of_units + of_trainings - of_rest) / (t * n)) ** 0.5
    assert crossed.estimate_mean(values).error == pytest.approx(error)


def test_units_and_weights_are_problems_counted_more_than_once():
    values = np.random.default_rng(4).random((3, 20))
    twice = crossed.estimate_mean(np.repeat(values, 2, axis=1), units=np.repeat(np.arange(20), 2).tolist())
    assert twice == pytest.approx(crossed.estimate_mean(values))
    assert crossed.estimate_mean(values, weights=np.full(20, 7.0)) == pytest.approx(crossed.estimate_mean(values))
    few = crossed.estimate_mean(np.repeat(values, 2, axis=1))
    assert few.error < twice.error, "variants of one parent are no independent problems"


def test_constant_values_have_no_width_and_one_unit_has_no_interval():
    assert crossed.estimate_mean(np.full((2, 5), 0.25))[:4] == (0.25, 0.25, 0.25, 0.0)
    with pytest.raises(ValueError, match="two units or more, got 1"):
        crossed.estimate_mean(np.ones((2, 3)), units=["a", "a", "a"])


def test_the_number_of_problems_has_the_power():
    random = np.random.default_rng(5)
    shares = [0.2, 0.55, 0.25]  # of differences -1, 0, +1: five points
    n = crossed.count_needed_problems(random.choice([-1, 0, 1], (1, 200000), p=shares), 0.05)
    assert n == pytest.approx(2.8016**2 * (0.45 - 0.0025) / 0.0025, rel=0.02)
    draws = random.choice([-1, 0, 1], (1000, n), p=shares)
    found = np.abs(draws.mean(1)) > 1.96 * draws.std(1, ddof=1) / n**0.5
    assert 0.77 <= found.mean() <= 0.83
