"""Greedy k-center: the bound on its radius, its first point, copies, and memory."""

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from stages.lib.core.errors import UserError
from stages.lib.selection import diagnostics
from stages.lib.selection.methods import k_center
from stages.lib.selection.rows import UNBOUNDED, Budget, Labelled
from tests.lib.selection.worlds import get_ids, make_blobs, make_rows, make_vectors


def select(vectors, budget=UNBOUNDED, labelled=None, rows=None, **params):
    rows = make_rows(len(vectors)) if rows is None else rows
    return k_center.select(rows, vectors, budget, labelled, 1, k_center.Params(**params))


def test_the_radius_is_at_most_twice_the_best_possible():
    """Gonzalez 1985, against every set of that size: 1,000 cases."""
    rng = np.random.default_rng(7)
    for case in range(1000):
        count = int(rng.integers(2, 13 if case % 50 == 0 else 9))
        size = int(rng.integers(1, min(count, 4) + 1))
        vectors = rng.normal(size=(count, 2))
        distances = cdist(vectors, vectors)
        best = min(distances[:, list(s)].min(1).max() for s in itertools.combinations(range(count), size))
        choices = select(vectors, Budget(items=size))
        assert len(choices) == size and choices[-1].value <= 2 * best + 1e-12
        chosen = [int(i[1:]) for i in get_ids(choices)]
        assert choices[-1].value == pytest.approx(distances[:, chosen].min(1).max(), abs=1e-12)


def test_the_value_is_the_covering_radius_after_each_pick_and_never_grows():
    vectors = make_vectors(80)
    choices = select(vectors, Budget(items=30))
    radii = [choice.value for choice in choices]
    assert radii == sorted(radii, reverse=True)
    for size in (1, 7, 30):
        described = diagnostics.describe(make_rows(80), vectors, choices[:size])
        assert described.covering_radius == radii[size - 1]


def test_the_first_point_is_the_most_central_and_belongs_to_the_choice():
    """Published versions began with row 0, or measured distances from a first point that they left out."""
    vectors = np.array([[9.0, 0], [1.1, 0], [1.0, 0], [-4.0, 0], [-2.0, 0]])  # mean 1.02
    choices = select(vectors, Budget(items=3))
    assert get_ids(choices) == ["r00002", "r00000", "r00003"]
    assert [choice.reason for choice in choices] == ["nearest to the mean", *["farthest from the chosen rows"] * 2]


def test_labelled_rows_are_the_start_and_are_not_chosen():
    vectors = np.array([[0.0], [1.0], [5.0], [9.0]])
    labelled = Labelled(make_rows(2, "e"), np.array([[0.5], [9.0]]))
    choices = select(vectors, Budget(items=2), labelled)
    assert get_ids(choices) == ["r00002", "r00000"]
    assert [choice.value for choice in choices] == [0.5, 0.5]


def test_a_copy_is_not_chosen_while_another_row_is_uncovered():
    vectors = np.repeat(make_vectors(20), 2, axis=0)
    choices = select(vectors)
    first = [int(i[1:]) // 2 for i in get_ids(choices)[:20]]
    assert sorted(first) == list(range(20)) and all(int(i[1:]) % 2 == 0 for i in get_ids(choices)[:20])
    assert choices[19].value == 0.0, "exactly: equal rows are at distance 0"
    assert get_ids(choices)[20:] == [f"r{i:05}" for i in range(1, 40, 2)]
    assert len(select(vectors, radius=0.0)) == 20


def test_it_stops_at_the_radius():
    vectors = make_blobs(100, 6, spread=0.01)
    choices = select(vectors, radius=0.2)
    assert len(choices) == 6 and choices[-1].value <= 0.2 < choices[-2].value


def test_rows_beyond_the_tokens_are_passed_over_and_still_count_as_uncovered():
    vectors = np.array([[0.0], [1.0], [5.0], [9.0]])
    rows = make_rows(4, tokens=lambda i: [50, 10, 10, 50][i])
    choices = select(vectors, Budget(tokens=20), rows=rows)
    assert get_ids(choices) == ["r00002", "r00001"] and choices[-1].value == 4.0
    with pytest.raises(UserError, match="the shortest row has 10"):
        select(vectors, Budget(tokens=9), rows=rows)
