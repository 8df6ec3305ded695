"""Figures of a choice, against their definitions."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from stages.lib.selection import diagnostics
from stages.lib.selection.rows import Choice
from tests.lib.selection.worlds import make_rows, make_vectors


def test_figures_equal_their_definitions(monkeypatch):
    monkeypatch.setattr(diagnostics, "BLOCK", 7)
    rows = make_rows(50, family=lambda i: f"f{i % 6}", tokens=lambda i: i)
    vectors, chosen = make_vectors(50), [3, 9, 15, 22, 27, 31, 40, 41, 49]
    described = diagnostics.describe(rows, vectors, [Choice(rows[i].id, "test") for i in chosen])
    distances = cdist(vectors, vectors)
    assert described.covering_radius == pytest.approx(distances[:, chosen].min(1).max())
    among = distances[np.ix_(chosen, chosen)] + np.where(np.eye(9) > 0, np.inf, 0)
    assert described.nearest_distance == pytest.approx(among.min(1).mean())
    cosines = (vectors @ vectors.T)[np.ix_(chosen, chosen)]
    assert described.similarity == pytest.approx(cosines[~np.eye(9, dtype=bool)].mean())
    assert described[:2] == (9, sum(chosen))
    assert (described.families, described.all_families) == (len({i % 6 for i in chosen}), 6)


def test_small_choices_have_no_figures_of_pairs():
    rows, vectors = make_rows(5), make_vectors(5)
    one = diagnostics.describe(rows, vectors, [Choice("r00002", "test")])
    assert one.nearest_distance is None and one.similarity is None and one.covering_radius > 0
    assert diagnostics.describe(rows, vectors, []).covering_radius is None
    assert diagnostics.describe(rows, None, [Choice("r00002", "test")]).covering_radius is None
    every = diagnostics.describe(rows, vectors, [Choice(row.id, "test") for row in rows])
    assert every.covering_radius == 0
    copies = diagnostics.describe(rows[:2], np.repeat(vectors[:1], 2, 0), [Choice(row.id, "test") for row in rows[:2]])
    assert copies.covering_radius == 0 and copies.nearest_distance == 0


def test_agreement_of_choices():
    assert diagnostics.compute_jaccard(["a", "b", "c"], ["b", "c", "d"]) == 0.5
    assert diagnostics.compute_jaccard([], []) == 1 and diagnostics.compute_jaccard(["a"], []) == 0
    assert diagnostics.compute_stability([["a", "b"], ["a", "b"], ["a", "c"]]) == pytest.approx((1 + 1 / 3 + 1 / 3) / 3)
    assert diagnostics.compute_stability([["a"]]) is None
