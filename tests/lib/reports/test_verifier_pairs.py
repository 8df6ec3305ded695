"""Verifiers against each other: paired differences against hand-made pools."""

import csv

import numpy as np
import pytest

from stages.lib.metrics import intervals
from stages.lib.reports import matrix, verifier_pairs
from stages.lib.reports.pools import Pool

VOTES = ["weighted_a", "weighted_b", "weighted_c"]
ALL, VARIANTS, OTHERS = matrix.POOLED_GROUPS


def make_pools(name, wins):
    """Two solutions, the first right; wins: for each problem, the scores that prefer it."""
    return [
        Pool(
            f"{name}{i}",
            np.array([0, 1]),
            np.array([1.0, 0.0]),
            {score: np.array([0.9, 0.1] if score in own else [0.1, 0.9]) for score in "abc"},
        )
        for i, own in enumerate(wins)
    ]


def compare(parents=None, **groups):
    return verifier_pairs.compare(matrix.measure(groups, {}, 8, 1), VOTES, 1, parents or {})


def test_differences_are_paired_and_corrected_within_a_group():
    """`b` wins what `a` wins and 12 problems more; each alone has an interval that holds the other's accuracy."""
    wins = ["ab"] * 20 + ["b"] * 12 + [""] * 28
    pairs = {(pair.first[-1], pair.second[-1]): pair for pair in compare(home=make_pools("h", wins))}
    assert list(pairs) == [("b", "a"), ("c", "a"), ("c", "b")]
    values = {name: np.array([name in own for own in wins], float) for name in "abc"}
    for (first, second), pair in pairs.items():
        expected = intervals.compare(values[first], values[second], key=1)
        assert (pair.problems, pair.group) == (60, "home")
        assert (pair.difference, pair.low, pair.high) == pytest.approx(expected[:3], abs=0.01)
    assert pairs["b", "a"].p < 0.001 <= intervals.estimate_accuracy(values["a"], range(60)).high
    assert [pair.p_holm for pair in pairs.values()] == pytest.approx(
        intervals.holm([pair.p for pair in pairs.values()])
    )


def test_a_verifier_can_win_on_variants_and_lose_on_other_kinds():
    groups = {
        "home": make_pools("h", ["abc"] * 30),
        "varied": make_pools("v", ["a"] * 30),
        "other": make_pools("o", ["b"] * 30),
    }
    pairs = compare({f"v{i}": f"h{i}" for i in range(30)}, **groups)
    found = {pair.group: pair.difference for pair in pairs if (pair.first, pair.second) == (VOTES[1], VOTES[0])}
    assert found == pytest.approx({"home": 0, ALL: 0, VARIANTS: -1, OTHERS: 1})
    header, rows = verifier_pairs.tabulate(pairs)
    assert header == ["difference", "home", ALL, VARIANTS, OTHERS] and rows[0][0] == "b weighted - a weighted"
    assert rows[0][3].startswith("-100.0 [-100.0, ") and rows[0][3].endswith("]*") and not rows[0][1].endswith("*")
    (first, *_) = csv.DictReader(verifier_pairs.to_csv(pairs).splitlines())
    assert (first["first"], first["second"], first["group"]) == (VOTES[1], VOTES[0], "home")


def test_one_verifier_has_no_pair():
    rows = matrix.measure({"home": make_pools("h", ["a"] * 3)}, {}, 8, 1)
    assert verifier_pairs.compare(rows, VOTES[:1], 1) == []
