"""One scan over near-duplicates: against a scan row by row, its bounds, its order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.selection.methods import one_pass
from stages.lib.selection.rows import UNBOUNDED, Budget, Values
from tests.lib.selection.worlds import get_ids, make_blobs, make_rows, make_vectors


def select(vectors, quality, budget=UNBOUNDED, **params):
    rows = make_rows(len(vectors))
    return one_pass.select(rows, vectors, budget, None, 1, one_pass.Params(**params), Values(quality))


def scan_by_hand(vectors, tau):
    leaders, labels = [], []
    for vector in vectors:
        cosines = [float(vector @ leader) for leader in leaders]
        if cosines and max(cosines) >= tau - 1e-9:
            labels.append(int(np.argmax(cosines)))
        else:
            labels.append(len(leaders))
            leaders.append(vector)
    return labels, np.array(leaders)


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.floats(-0.5, 0.99), st.integers(1, 90))
def test_blocks_change_nothing(seed, tau, count):
    vectors = make_vectors(count, 3, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one_pass, "BLOCK", 7)
        patch.setattr(one_pass, "PART", 5)
        labels = one_pass.assign_leaders(vectors, tau).tolist()
    expected, leaders = scan_by_hand(vectors, tau)
    assert labels == expected
    cosines = leaders @ leaders.T
    assert (cosines[~np.eye(len(leaders), dtype=bool)] < tau).all(), "two leaders are never near-duplicates"


def test_the_ends_of_tau():
    vectors, quality = np.repeat(make_vectors(30), 3, axis=0), np.arange(90.0) % 7
    unique = select(vectors, quality, tau=1.0)
    assert len(unique) == 30 and {choice.value for choice in unique} == {3.0}
    assert len(select(vectors, quality, tau=-1.0)) == 1


def test_the_best_row_of_each_cluster_is_kept():
    vectors, quality = make_blobs(120, 8, spread=0.01), np.random.default_rng(8).permutation(120).astype(float)
    best = {max(range(start, 120, 8), key=lambda i: quality[i]) for start in range(8)}
    for params in ({}, {"order": "input"}, {"order": "seeded"}, {"running_mean": True}):
        chosen = [int(i[1:]) for i in get_ids(select(vectors, quality, **params))]
        assert {*chosen} == best
        assert list(quality[chosen]) == sorted(quality[chosen], reverse=True), "the best first, if a budget cuts"
    assert select(vectors, quality, Budget(items=3)) == select(vectors, quality)[:3]


def test_leaders_are_fixed_unless_they_move():
    """0, 40 and 60 degrees at 50: the mean of the first two is 20 and has the third in reach; their leader, 0, has not."""
    angles = np.radians([0.0, 40.0, 60.0])
    vectors, tau = np.stack([np.cos(angles), np.sin(angles)], 1), float(np.cos(np.radians(50)))
    assert one_pass.assign_leaders(vectors, tau).tolist() == [0, 0, 1]
    assert one_pass.assign_leaders(vectors, tau, running_mean=True).tolist() == [0, 0, 0]
