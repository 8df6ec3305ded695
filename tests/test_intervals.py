"""Intervals cover, comparisons are paired, and p-values are what enumeration says."""

from itertools import product

import numpy as np
import pytest

from stages.lib.intervals import bootstrap, compare


def test_half_width_is_the_textbook_one():
    values = (np.arange(500) < 250)[:, None] * 1.0  # 50% of 500: 4.4 points
    found = bootstrap(values, key=1, resamples=4000)
    assert found.mean[0] == 0.5
    assert found.high[0] - found.low[0] == pytest.approx(2 * 0.0438, rel=0.06)


def test_intervals_cover_the_truth():
    random, hits = np.random.default_rng(0), 0
    for trial in range(300):
        found = bootstrap((random.random((80, 1)) < 0.4) * 1.0, key=trial, resamples=400)
        hits += found.low[0] <= 0.4 <= found.high[0]
    assert 0.90 <= hits / 300 <= 0.985


def test_no_spread_is_not_certainty():
    right = bootstrap(np.ones((30, 1)), key=1)
    assert (right.mean[0], right.high[0]) == (1, 1)
    assert right.low[0] == pytest.approx(0.884, abs=1e-3)
    wrong = bootstrap(np.zeros((30, 1)), key=1)
    assert wrong.low[0] == 0
    assert wrong.high[0] == pytest.approx(0.116, abs=1e-3)


def test_same_key_same_interval():
    values = np.random.default_rng(3).random((40, 3))
    assert np.array_equal(bootstrap(values, key=9), bootstrap(values, key=9))
    assert not np.array_equal(bootstrap(values, key=9), bootstrap(values, key=10))


def test_p_equals_enumeration_of_signs():
    differences = np.array([0.5, 0.25, -0.25, 1.0, 0.0, 0.125])
    observed = abs(differences.sum())
    sums = [abs(np.dot(signs, differences)) for signs in product([1, -1], repeat=len(differences))]
    assert compare(differences, np.zeros(6), key=1).p == np.mean([s >= observed - 1e-12 for s in sums])


def test_random_signs_agree_with_enumerated_ones(monkeypatch):
    differences = np.random.default_rng(2).normal(0.15, 0.5, 12)
    exact = compare(differences, np.zeros(12), key=1).p
    monkeypatch.setattr("stages.lib.intervals.EXACT_FLIPS", 0)
    assert compare(differences, np.zeros(12), key=1, resamples=40000).p == pytest.approx(exact, abs=0.012)


def test_pairing_finds_what_separate_intervals_hide():
    random = np.random.default_rng(4)
    difficulty = random.random(200)
    better = np.clip(difficulty + 0.03 + random.normal(0, 0.02, 200), 0, 1)
    found = compare(better, difficulty, key=1)
    assert found.low > 0
    assert found.p < 0.001
    separate = bootstrap(np.stack([better, difficulty], axis=1), key=1)
    assert separate.low[0] < separate.high[1]


def test_equal_methods_never_differ():
    values = np.random.default_rng(6).random(50)
    assert compare(values, values, key=1) == (0, 0, 0, 1, 0)


def test_false_alarms_and_detectable_difference_are_as_stated():
    random = np.random.default_rng(8)
    alarms = [compare(random.normal(0, 1, 60), np.zeros(60), key=t, resamples=400).p < 0.05 for t in range(300)]
    assert 0.02 <= np.mean(alarms) <= 0.09
    reach = compare(random.normal(0, 1, 60), np.zeros(60), key=1, resamples=400).detectable
    assert reach == pytest.approx(2.8 / np.sqrt(60), rel=0.3)
    found = [compare(random.normal(0.3617, 1, 60), np.zeros(60), key=t, resamples=400).p < 0.05 for t in range(200)]
    assert 0.7 <= np.mean(found) <= 0.9
