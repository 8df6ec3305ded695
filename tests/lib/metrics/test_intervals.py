"""Intervals cover, comparisons are paired, p-values are what enumeration says, and an interval agrees with its test."""

from functools import lru_cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.stats import binomtest, multinomial

from stages.lib.metrics import intervals
from stages.lib.metrics.intervals import Interval, bootstrap, compare, estimate_accuracy, holm, subtract


def outcomes(won, lost, n):
    """Differences of right and wrong: so many problems won, lost, and the others alike."""
    return np.r_[np.ones(won), -np.ones(lost), np.zeros(n - won - lost)]


@lru_cache
def compared(won, lost, n):
    return compare(outcomes(won, lost, n), np.zeros(n), key=1)


def test_half_width_is_the_textbook_one():
    values = (np.arange(500) < 250)[:, None] * np.array([1.0, 0.999])  # 50% of 500: 4.4 points; exact, and resampled
    found = bootstrap(values, key=1, resamples=4000)
    assert found.mean == pytest.approx([0.5, 0.4995])
    assert found.high - found.low == pytest.approx([2 * 0.0438] * 2, rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("largest", [1.0, 0.9])
def test_intervals_cover_the_truth(largest):
    random, hits = np.random.default_rng(0), 0
    for trial in range(300):
        found = bootstrap((random.random((80, 1)) < 0.4) * largest, key=trial, resamples=400)
        hits += found.low[0] <= 0.4 * largest <= found.high[0]
    assert 0.90 <= hits / 300 <= 0.985


def test_no_spread_is_not_certainty():
    for found in (bootstrap(np.ones((30, 1)), key=1), estimate_accuracy(np.ones(30))):
        assert np.ravel(found).tolist() == pytest.approx([1, 0.884, 1], abs=1e-3)
    for found in (bootstrap(np.zeros((30, 1)), key=1), estimate_accuracy(np.zeros(30))):
        assert np.ravel(found).tolist() == pytest.approx([0, 0, 0.116], abs=1e-3)
    hardly = np.r_[np.zeros(53), 0.02]  # resampled: 0 to 0.0015
    for low, high in (np.ravel(bootstrap(hardly[:, None], key=1)[1:]), estimate_accuracy(hardly)[1:]):
        assert 0 < low < 0.02 / 54 and high == pytest.approx(0.067, abs=1e-3)
    assert compare(np.zeros(54), np.zeros(54), key=1)[1:3] == pytest.approx((-0.0664, 0.0664), abs=1e-4)


def test_right_and_wrong_have_the_exact_interval():
    for right in (0, 1, 27, 53, 54):
        values = np.arange(54) < right
        exact = binomtest(right, 54).proportion_ci()
        assert estimate_accuracy(values)[1:] == pytest.approx(tuple(exact))
        assert np.ravel(bootstrap(values[:, None], key=1)[1:]) == pytest.approx(tuple(exact))


def test_same_key_same_interval_however_many_resamples_are_held_at_once(monkeypatch):
    values = np.random.default_rng(3).random((60, 3))
    found = bootstrap(values, key=9)
    assert not np.array_equal(found, bootstrap(values, key=10))
    monkeypatch.setattr(intervals, "MAX_RESAMPLED_UNITS", 7 * 60)
    assert np.allclose(found, bootstrap(values, key=9), rtol=1e-12, atol=0)
    p = compare(values[:, 0], values[:, 1], key=9).p
    monkeypatch.setattr(intervals, "MAX_RESAMPLED_UNITS", 1 << 22)
    assert compare(values[:, 0], values[:, 1], key=9).p == p


def test_p_equals_enumeration_of_signs():
    differences = np.array([0.5, 0.25, -0.25, 1.0, 0.0, 0.125])
    observed = abs(differences.sum())
    sums = [abs(np.dot(signs, differences)) for signs in product([1, -1], repeat=len(differences))]
    assert compare(differences, np.zeros(6), key=1).p == np.mean([s >= observed - 1e-12 for s in sums])


def test_p_of_right_and_wrong_is_that_of_mcnemar():
    for won, lost in ((5, 0), (6, 0), (8, 1), (60, 31), (0, 200)):
        assert compared(won, lost, 300).p == binomtest(won, won + lost).pvalue


def test_random_signs_agree_with_enumerated_ones(monkeypatch):
    differences = np.random.default_rng(2).normal(0.15, 0.5, 12)
    exact = compare(differences, np.zeros(12), key=1).p
    monkeypatch.setattr(intervals, "MAX_EXACT_FLIPS", 0)
    assert compare(differences, np.zeros(12), key=1, resamples=40000).p == pytest.approx(exact, abs=0.012)


def agrees(found):
    inside = found.low <= 0 <= found.high
    return (found.p < 0.05) != inside and found.low <= found.difference <= found.high


@pytest.mark.slow
def test_interval_and_test_agree_on_right_and_wrong():
    found = {(won, lost): compared(won, lost, 54) for won in range(13) for lost in range(13 - won)}
    assert all(map(agrees, found.values()))
    assert found[5, 0].low == 0 < found[6, 0].low and found[0, 6].high == -found[6, 0].low
    assert any(each.p < 0.05 for each in found.values())
    one_large = compare([1, *[0.1] * 6], np.zeros(7), key=1)  # all for it, though only 1.55 standard errors from 0
    assert one_large.p == 2 / 128 and agrees(one_large)


@pytest.mark.slow
@settings(max_examples=60)
@given(
    some.lists(
        some.tuples(
            some.sampled_from([-1.0, -0.5, -0.1, 0.0, 0.0, 0.03, 0.3, 1.0]),
            some.integers(0, 5),
            some.sampled_from([0.5, 1.0, 3.0]),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_interval_and_test_agree_whatever_the_differences(rows):
    values, units, weights = (np.array(column) for column in zip(*rows, strict=True))
    zeros = np.zeros(len(values))
    for found in (compare(values, zeros, 1, 500), compare(values, zeros, 1, 500, units=units, weights=weights)):
        assert agrees(found), found
        mirrored = compare(zeros, values, 1, 500)
        assert mirrored[1:3] == pytest.approx(
            (-compare(values, zeros, 1, 500).high, -compare(values, zeros, 1, 500).low)
        )


@pytest.mark.parametrize(("won", "lost"), [(0.06, 0.02), (0.15, 0.02), (0.1, 0.0), (0.02, 0.02)])
def test_coverage_at_few_differences(won, lost):
    """By enumeration, not simulation. The percentile bootstrap's coverage at 6% against 2% is 0.90."""
    covered = total = 0.0
    chances = multinomial(54, [won, lost, 1 - won - lost])
    for a in range(22):
        for b in range(12):
            chance = chances.pmf([a, b, 54 - a - b])
            if chance > 1e-5:
                total += chance
                covered += chance * (compared(a, b, 54).low <= won - lost <= compared(a, b, 54).high)
    assert total > 0.997 and covered > 0.95


def test_the_far_end_is_tangos():
    """Tango 1998: the likeliest chances of winning and losing with a difference of d, in closed form."""
    for won, lost in ((0, 0), (3, 1), (6, 0), (12, 7)):
        n, d = 54, compared(won, lost, 54).high
        b, c = -won - lost + (2 * n - won + lost) * d, -lost * d * (1 - d)
        lose = ((b * b - 8 * n * c) ** 0.5 - b) / (4 * n)
        z = (won - lost - n * d) / (n * (2 * lose + d * (1 - d))) ** 0.5
        assert z == pytest.approx(-1.95996, abs=1e-4)


@pytest.mark.slow
def test_parents_are_the_units_of_their_variants():
    """200 trials of 40 parents with 6 variants each, alike by parent: counting rows, the interval is far too short."""
    random, hits = np.random.default_rng(1), {"parents": 0, "rows": 0}
    units = np.repeat(np.arange(40), 6)
    for _ in range(200):
        chance = np.repeat(np.where(random.random(40) < 0.3, 0.6, 0.05), 6)  # of a gain; 0.215 on average
        gain = (random.random(240) < chance) - (random.random(240) < 0.1) * 1.0
        for name, given_ in (("parents", units), ("rows", None)):
            found = compare(gain, np.zeros(240), key=1, resamples=200, units=given_)
            hits[name] += found.low <= 0.115 <= found.high
    assert hits["parents"] >= 186 and hits["rows"] <= 176


def test_weights_and_units_of_a_mean():
    values, units, weights = np.array([1, 0, 0.5, 1]), ["a", "a", "b", "c"], np.array([1.0, 1, 2, 4])
    found = estimate_accuracy(values, units, weights)
    assert found.mean == pytest.approx(6 / 8) and 0 < found.low < found.mean < found.high == 1
    twice = estimate_accuracy(np.repeat([1.0, 0.0, 0.0], 2), [0, 0, 1, 1, 2, 2])
    assert tuple(twice) == pytest.approx(tuple(estimate_accuracy([1, 0, 0])))  # a copy says nothing new
    shuffled = [2, 0, 3, 1]
    again = compare(values[shuffled], np.zeros(4), 1, units=[units[i] for i in shuffled], weights=weights[shuffled])
    assert again == pytest.approx(compare(values, np.zeros(4), 1, units=units, weights=weights))


def test_pairing_finds_what_separate_intervals_hide():
    random = np.random.default_rng(4)
    difficulty = random.random(200)
    better = np.clip(difficulty + 0.03 + random.normal(0, 0.02, 200), 0, 1)
    found = compare(better, difficulty, key=1)
    assert found.low > 0
    assert found.p < 0.001
    assert estimate_accuracy(better).low < estimate_accuracy(difficulty).high


def test_methods_that_never_differ_may_do_so_on_problems_not_seen():
    values = np.random.default_rng(6).random(50)
    assert compare(values, values, key=1) == (
        0,
        pytest.approx(-0.0713, abs=1e-4),
        pytest.approx(0.0713, abs=1e-4),
        1,
        None,
    )


@pytest.mark.slow
def test_false_alarms_and_detectable_difference_are_as_stated():
    random = np.random.default_rng(8)
    alarms = [compare(random.normal(0, 1, 60), np.zeros(60), key=t, resamples=400).p < 0.05 for t in range(300)]
    assert 0.02 <= np.mean(alarms) <= 0.09
    reach = compare(random.normal(0, 1, 60), np.zeros(60), key=1, resamples=400).detectable
    assert reach == pytest.approx(2.8 / np.sqrt(60), rel=0.3)
    found = [compare(random.normal(0.3617, 1, 60), np.zeros(60), key=t, resamples=400).p < 0.05 for t in range(200)]
    assert 0.7 <= np.mean(found) <= 0.9


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1] and holm([]) == []


def test_independent_means_are_subtracted_with_their_spread():
    assert subtract(Interval(0.5, 0.2, 0.9), Interval(0.1, -0.2, 0.4)) == pytest.approx((0.4, 0.4 - 0.18**0.5, 0.9))


def test_a_mean_next_to_its_bound_has_an_interval():
    """Shares of 1 - 1e-12 come from exact formulas of strong pools."""
    almost = np.r_[np.ones(19), 1 - 1e-8]
    found = estimate_accuracy(almost)
    assert found.low < 0.9 and found.high == pytest.approx(1)
    assert compare(almost, np.ones(20), key=1).low < -0.1
    values = np.ones((100, 1))
    values[:25] -= 1e-12
    low = bootstrap(values, key=1).low[0]
    assert low == pytest.approx(bootstrap(np.ones((100, 1)), key=1).low[0], abs=0.01) and low < 0.98


def test_what_was_not_seen_is_a_whole_parent():
    """54 parents with 13 variants each and none solved: with one variant less, hardly anything changes."""
    units = np.repeat(np.arange(54), 13)
    whole, less = estimate_accuracy(np.zeros(702), units), estimate_accuracy(np.zeros(701), units[:-1])
    assert whole.high == pytest.approx(0.066, abs=1e-3) and less.high == pytest.approx(whole.high, abs=1e-3)
    assert compare(np.zeros(701), np.zeros(701), key=1, units=units[:-1]).high > 0.06


def test_p_does_not_depend_on_the_order_of_the_problems():
    random = np.random.default_rng(5)
    values = random.random(30) - 0.4
    assert len({compare(random.permutation(values), np.zeros(30), key=1).p for _ in range(5)}) == 1


def test_a_single_problem_or_differences_all_alike_detect_nothing_known():
    assert compare(np.ones(3), np.zeros(3), key=1).detectable is None
    assert compare(np.ones(1), np.zeros(1), key=1).detectable is None
