"""Cluster and rank: against a brute force, its sizes, its ablation, and the faults of published versions."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from stages.lib.core.errors import UserError
from stages.lib.selection.methods import car
from stages.lib.selection.rows import UNBOUNDED, Budget, Values
from tests.lib.selection.worlds import get_ids, make_blobs, make_rows, make_vectors


def select(rows, vectors, quality, budget=UNBOUNDED, seed=1, **params):
    return car.select(rows, vectors, budget, None, seed, car.Params(**params), Values(quality))


def choose_by_hand(rows, labels, quality, top, per_cluster):
    """The definition, without regard to time."""
    ranked = sorted(zip(rows, labels, quality, strict=True), key=lambda item: (-item[2], item[0].id))
    kept = [row.id for row, _, _ in ranked[:top]]
    for label in sorted({*labels}):
        for row, _, _ in [item for item in ranked if item[1] == label][:per_cluster]:
            if row.id not in kept:
                kept.append(row.id)
    return kept


@pytest.mark.parametrize("top, per_cluster", [(50, 1), (20, 3), (0, 4), (500, 1), (50, 0)])
def test_equals_a_brute_force(top, per_cluster):
    rows, vectors = make_rows(500), make_blobs(500, 30, spread=0.3)
    quality = np.round(np.random.default_rng(4).random(500), 2)  # with ties
    clusters = car.cluster(rows, vectors, 1, car.Params())
    assert clusters.k == 15 and clusters.dims <= 8 and clusters.variance >= 0.95
    expected = choose_by_hand(rows, clusters.labels.tolist(), quality, top, per_cluster)
    choices = select(rows, vectors, quality, top=top, per_cluster=per_cluster)
    assert {*get_ids(choices)} == {*expected} and len(choices) == len(expected)
    assert [choice.reason for choice in choices[:top]] == ["top"] * top
    # the size identity: |S| = n1 + the rows of clusters that are not among the top
    best = {*choose_by_hand(rows, clusters.labels.tolist(), quality, 0, per_cluster)}
    assert len(choices) == top + len(best - {*get_ids(choices)[:top]})
    assert all(choice.value == quality[int(choice.id[1:])] for choice in choices)


def test_the_number_of_clusters_follows_the_paper():
    assert car.count_clusters(52_002) == 161 and car.count_clusters(5_000) == 50 and car.count_clusters(1) == 1


def test_every_cluster_is_represented():
    rows, vectors = make_rows(200), make_blobs(200, 10)
    quality = (np.arange(200) % 10 == 3).astype(float)  # all quality is in one cluster
    labels = car.cluster(rows, vectors, 1, car.Params()).labels
    for chosen in (select(rows, vectors, quality, top=20), select(rows, vectors, quality, Budget(items=29))):
        assert {int(labels[int(i[1:])]) for i in get_ids(chosen)} == {*labels.tolist()}
    without = select(rows, vectors, quality, top=20, per_cluster=0)
    assert {int(labels[int(i[1:])]) for i in get_ids(without)} == {int(labels[3])}


def test_a_budget_of_rows_is_the_paper_s_set_of_that_size():
    rows, vectors = make_rows(300), make_vectors(300)
    quality = np.random.default_rng(5).random(300)
    for top in (0, 10, 60, 250):
        by_top = select(rows, vectors, quality, top=top)
        by_budget = select(rows, vectors, quality, Budget(items=len(by_top)))
        assert {*get_ids(by_budget)} == {*get_ids(by_top)}
    choices = select(rows, vectors, quality, Budget(items=60))
    tops = [choice.value for choice in choices if choice.reason == "top"]
    assert tops == sorted(quality)[::-1][: len(tops)]


@pytest.mark.parametrize("size", [1, 7, 10, 33, 60, 200])
def test_clusters_without_rank_take_turns_until_the_budget_is_spent(size):
    """Blobs of 20 rows are the clusters; all of quality is in the first of them."""
    rows, vectors = make_rows(200), make_blobs(200, 10)
    quality = np.arange(200.0) + 1000 * (np.arange(200) % 10 == 3)
    choices = select(rows, vectors, quality, Budget(items=size), top=0)
    counts = np.bincount([int(i[1:]) % 10 for i in get_ids(choices)], minlength=10)
    assert len(choices) == size and counts.max() - counts.min() <= 1
    assert all(choice.reason.startswith("cluster ") for choice in choices)
    kept = {int(i[1:]) for i in get_ids(choices)}
    assert all(i + 10 in kept for i in kept if i + 10 < 200), "the best of each cluster come first"
    tokens = select(rows, vectors, quality, Budget(tokens=10 * size + 9), top=0)
    assert tokens == choices
    if size % 10 == 0:
        assert {*get_ids(select(rows, vectors, quality, top=0, per_cluster=size // 10))} == {*get_ids(choices)}


def test_the_default_is_that_of_the_paper():
    rows, vectors = make_rows(1200), make_blobs(1200, 24)
    choices = select(rows, vectors, np.arange(1200.0))
    assert sum(choice.reason == "top" for choice in choices) == 1000 <= len(choices) <= 1024


def test_budgets_too_small_for_the_clusters_are_faults():
    rows, vectors, quality = make_rows(200), make_blobs(200, 10), np.arange(200.0)
    with pytest.raises(UserError, match=r"budget \(9 items\) does not hold the best of every cluster \(10 rows"):
        select(rows, vectors, quality, Budget(items=9))
    with pytest.raises(UserError, match=r"budget \(95 tokens\) does not hold"):
        select(rows, vectors, quality, Budget(tokens=95))
    assert len(select(rows, vectors, quality, Budget(tokens=109))) == 10
    with pytest.raises(UserError, match="top=5 and a budget both say"):
        select(rows, vectors, quality, Budget(items=9), top=5)


def test_fewer_rows_than_clusters_are_a_fault():
    with pytest.raises(UserError, match="4 rows are fewer than clusters=5; set at most 4"):
        select(make_rows(4), make_vectors(4), np.arange(4.0), clusters=5)


def test_equal_rows_keep_both_ids():
    """A published version asked `row not in chosen` of dictionaries, where equal rows are one."""
    rows = make_rows(100, question="q", answer="a")
    vectors, quality = np.repeat(make_vectors(50), 2, axis=0), np.repeat(np.arange(50.0), 2)
    assert get_ids(select(rows, vectors, quality, top=4, per_cluster=0)) == ["r00098", "r00099", "r00096", "r00097"]
    assert len(select(rows, vectors, quality, top=100)) == 100
    same = np.ones((100, 3))
    assert len(select(rows, same, quality, top=4)) == 4, "one cluster, whose best is at the top"


def test_clusters_do_not_depend_on_a_rotation():
    rows, vectors = make_rows(300), make_blobs(300, 12, width=6)
    rotation = np.linalg.qr(np.random.default_rng(6).normal(size=(6, 6)))[0]
    labels = [car.cluster(rows, x, 1, car.Params()).labels for x in (vectors, vectors @ rotation, 3 * vectors)]
    assert adjusted_rand_score(labels[0], labels[1]) == 1.0
    assert adjusted_rand_score(labels[0], labels[2]) == 1.0, "vectors are normalised first"


def test_clusters_come_in_the_order_of_the_rows():
    rows, vectors = make_rows(100), make_blobs(100, 7)
    straight, reversed_ = (
        car.cluster(r, v, 1, car.Params()) for r, v in ((rows, vectors), (rows[::-1], vectors[::-1]))
    )
    assert (straight.labels == reversed_.labels[::-1]).all()
    assert (straight.distances == reversed_.distances[::-1]).all()
    # a seed changes the start of k-means, which separate blobs find anyhow
    other = car.cluster(rows, vectors, 2, car.Params())
    assert adjusted_rand_score(straight.labels, other.labels) == 1.0


def test_the_number_of_threads_changes_nothing():
    rows, vectors = make_rows(3000), make_vectors(3000, 20)
    found = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            found.append(car.cluster(rows, vectors, 1, car.Params(clusters=12)))
    assert (found[0].labels == found[1].labels).all() and (found[0].distances == found[1].distances).all()


def test_centres_of_many_rows_are_learned_from_some_of_them(monkeypatch):
    rows, vectors = make_rows(500), make_blobs(500, 10)
    whole = car.cluster(rows, vectors, 1, car.Params(clusters=10))
    monkeypatch.setattr(car, "MAX_FITTED", 120)
    found = car.cluster(rows, vectors, 1, car.Params(clusters=10))
    assert adjusted_rand_score(found.labels, whole.labels) == 1
    assert not np.array_equal(found.distances, whole.distances)  # the centres are others
    turned = car.cluster(rows[::-1], vectors[::-1], 1, car.Params(clusters=10))
    assert np.array_equal(turned.labels[::-1], found.labels)
    assert len(car.cluster(rows, vectors, 1, car.Params(clusters=200)).labels) == 500  # more clusters than that


def test_qualities_of_sources_can_be_compared_by_rank():
    """The scores of one source may all lie above those of another."""
    rows = make_rows(40, source=lambda i: "high" if i < 20 else "low")
    quality = np.arange(40.0)[::-1]
    vectors = make_vectors(40)
    plain = select(rows, vectors, quality, top=10, per_cluster=0)
    ranked = select(rows, vectors, quality, top=10, per_cluster=0, rank_within_source=True)
    assert {int(i[1:]) // 20 for i in get_ids(plain)} == {0}
    assert sorted(int(i[1:]) // 20 for i in get_ids(ranked)) == [0] * 5 + [1] * 5
