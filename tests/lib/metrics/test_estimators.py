"""Every curve equals full enumeration over all C(N, k) subsets."""

from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.metrics import voting
from stages.lib.metrics.estimators import best_of_k, pass_at_k
from stages.lib.metrics.majority import majority
from stages.lib.metrics.voting import Estimate, draw_subsets, estimate_top, estimate_weighted, score_votes, top_size


def mean_over_subsets(n, value):
    return [float(sum(map(value, combinations(range(n), k)), Fraction(0)) / comb(n, k)) for k in range(1, n + 1)]


def weighted_of_one(classes, correct, log_weights, ks, orders):
    """`estimate_weighted` of one vote on one problem: (ks,) each."""
    return Estimate(
        *(x[0, 0] for x in estimate_weighted(classes[None], correct[None], log_weights[None, None], ks, orders[None]))
    )


def top_of_one(classes, correct, scores, share, ks, orders):
    """The same of `estimate_top`."""
    return Estimate(
        *(x[0, 0] for x in estimate_top(classes[None], correct[None], scores[None], [share], ks, orders[None]))
    )


def share(winners, right):
    """Chance that an evenly drawn winner is right."""
    winners = list(winners)
    return Fraction(sum(right(w) for w in winners), len(winners)) if winners else Fraction(0)


@st.composite
def pools(draw):
    """classes (-1: no answer), correct by class, scores with many ties."""
    n = draw(st.integers(1, 9))
    classes = draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n))
    good = draw(st.sets(st.integers(0, 3), max_size=2))
    scores = draw(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=n, max_size=n))
    return np.array(classes), np.array([float(c in good) for c in classes]), np.array(scores)


@settings(max_examples=60)
@given(pools())
def test_best_of_and_pass_equal_enumeration(pool):
    classes, correct, scores = pool
    scores = np.where(classes >= 0, scores, -np.inf)

    def best(drawn):
        top_score = max(scores[i] for i in drawn)
        return share([i for i in drawn if scores[i] == top_score], lambda i: int(correct[i]))

    n = len(classes)
    np.testing.assert_allclose(best_of_k(correct[None], scores[None])[0], mean_over_subsets(n, best), rtol=1e-12)
    expected = mean_over_subsets(n, lambda drawn: Fraction(int(any(correct[i] for i in drawn))))
    np.testing.assert_allclose(pass_at_k(correct[None])[0], expected, rtol=1e-12)


@settings(max_examples=80)
@given(pools())
def test_majority_equals_enumeration(pool):
    classes, correct, _ = pool

    def vote(drawn):
        counts = {}
        for i in drawn:
            if classes[i] >= 0:
                counts.setdefault(classes[i], []).append(i)
        most = max(map(len, counts.values()), default=0)
        return share([v for v in counts.values() if len(v) == most], lambda v: int(correct[v[0]]))

    expected = mean_over_subsets(len(classes), vote)
    np.testing.assert_allclose(majority(classes[None], correct[None])[0], expected, rtol=1e-9, atol=1e-13)


def exact_majority(sizes, blanks, k):
    """maj@k of class 0 as a fraction, by a dynamic programme over classes on whole numbers (one loop per count m)."""
    total = Fraction(0)
    for m in range(1, min(sizes[0], k) + 1):
        table = {(0, 0): 1}  # (included, ties) -> ways
        for size in [*sizes[1:], None]:
            step = {}
            for (included, ties), ways in table.items():
                for i in range((blanks if size is None else min(m, size)) + 1):
                    place = (included + i, ties + (size is not None and i == m))
                    if place[0] <= k - m:
                        step[place] = step.get(place, 0) + ways * comb(blanks if size is None else size, i)
            table = step
        for (included, ties), ways in table.items():
            if included == k - m:
                total += Fraction(ways * comb(sizes[0], m), 1 + ties)
    return float(total / comb(sum(sizes) + blanks, k))


MODERATE = [([12, 9, 9, 5, 1, 1, 1], 7), ([4] * 10, 0), ([1] * 40, 3), ([30, 31], 2)]


@pytest.mark.parametrize(("sizes", "blanks"), MODERATE)
def test_majority_equals_whole_number_programme_at_moderate_n(sizes, blanks):
    classes = np.repeat([*range(len(sizes)), -1], [*sizes, blanks])
    found = majority(classes[None], (classes == 0)[None])[0]
    for k in (1, 2, 3, 7, 16, len(classes) // 2, len(classes) - 1, len(classes)):
        assert found[k - 1] == pytest.approx(exact_majority(sizes, blanks, k), rel=1e-9)


def test_majority_of_a_large_pool_equals_the_sum_over_both_counts():
    """Large enough for several p, each with its own likely counts; sizes so close that neither class is sure to win."""
    sizes, blanks = (160, 150), 30
    classes = np.repeat([0, 1, -1], [*sizes, blanks])
    found = majority(classes[None], (classes == 0)[None])[0]
    for k in (1, 2, 40, 169, 170, 171, 250, 338, 339):
        won = 0
        for m in range(1, min(sizes[0], k) + 1):
            for other in range(min(m, sizes[1], k - m) + 1):
                ways = comb(sizes[0], m) * comb(sizes[1], other) * comb(blanks, k - m - other)
                won += ways if other == m else 2 * ways
        assert found[k - 1] == pytest.approx(float(Fraction(won, 2 * comb(len(classes), k))), rel=1e-12)


@pytest.mark.slow
def test_majority_at_1860_against_closed_forms():
    n, half = 1860, 930
    two = np.repeat([0, 1], half)  # equal sizes: each wins half, whatever k
    np.testing.assert_allclose(majority(two[None], (two == 0)[None])[0], 0.5, atol=1e-10)
    distinct = np.arange(n)  # all tied: 1 / N
    np.testing.assert_allclose(majority(distinct[None], (distinct == 5)[None])[0], 1 / n, rtol=1e-9)
    alone = np.repeat([0, -1], [60, n - 60])  # one class among blanks wins when it is drawn at all
    np.testing.assert_allclose(
        majority(alone[None], (alone == 0)[None]), pass_at_k((alone == 0)[None] * 1.0), atol=1e-10
    )


@pytest.mark.slow
def test_majority_agrees_with_sampling_on_a_large_pool():
    random = np.random.default_rng(0)
    classes = random.choice(60, 1860, p=random.dirichlet(1 / np.arange(1, 61)))
    right = np.bincount(classes).argsort()[-2]  # the runner-up: no k is trivial
    correct = (classes == right).astype(float)
    found = majority(classes[None], correct[None])[0]
    orders = draw_subsets(1860, 2000, key=1)
    for k in (4, 30, 200, 1200):
        drawn = orders[:, :k]
        votes = score_votes(classes[drawn], correct[drawn], np.zeros(drawn.shape))
        assert abs(found[k - 1] - votes.mean()) < 4.5 * votes.std() / np.sqrt(2000) + 1e-9


@settings(max_examples=30)
@given(pools())
def test_one_drawn_is_the_same_for_every_method_and_blanks_never_win(pool):
    classes, correct, scores = pool
    single = correct.mean()
    assert best_of_k(correct[None], np.where(classes >= 0, scores, -np.inf)[None])[0, 0] == pytest.approx(single)
    assert majority(classes[None], correct[None])[0, 0] == pytest.approx(single)
    orders = draw_subsets(len(classes), 4, key=3)
    assert weighted_of_one(classes, correct, scores, [1], orders).value[0] == pytest.approx(single)
    assert top_of_one(classes, correct, scores, 0.5, [1], orders).value[0] == pytest.approx(single)
    blank = np.full(len(classes), -1)
    assert not majority(blank[None], np.zeros((1, len(classes)))).any()
    assert not weighted_of_one(blank, correct, scores, [len(classes)], orders).value.any()


def test_curves_do_not_depend_on_the_order_of_the_pool():
    random = np.random.default_rng(1)
    classes, scores = random.integers(-1, 5, 64), random.integers(0, 4, 64) / 3
    correct, shuffled = (classes == 2) * 1.0, random.permutation(64)
    masked = np.where(classes >= 0, scores, -np.inf)
    first = best_of_k(correct[None], masked[None])
    assert np.allclose(first, best_of_k(correct[shuffled][None], masked[shuffled][None]), rtol=1e-13)
    voted = majority(classes[None], correct[None])
    assert np.allclose(voted, majority(classes[shuffled][None], correct[shuffled][None]))


def test_weighted_vote_splits_ties_exactly_and_ignores_blanks():
    log = np.log([0.1, 0.2, 0.3, 0.6, 0.99])  # 0.1 + 0.2 + 0.3 is not 0.6 in floating point
    classes, correct = np.array([[0, 0, 0, 1, -1]]), np.array([[1.0, 1, 1, 0, 0]])
    assert score_votes(classes, correct, log[None])[0] == 0.5
    zero = np.full((1, 5), -np.inf)
    assert score_votes(classes, correct, zero)[0] == 0.5
    assert score_votes(classes, correct, log[None] - 1e5)[0] == 0.5  # no underflow: weights are relative


def test_monte_carlo_votes_agree_with_enumeration_within_their_error():
    random = np.random.default_rng(5)
    classes, scores = np.array([0, 0, 1, 1, 1, 2, -1, 0, 2]), random.random(9)
    correct, n = (classes == 0) * 1.0, 9
    orders = draw_subsets(n, 4000, key=7)

    def one(drawn):
        drawn = np.array(drawn)
        return Fraction(score_votes(classes[drawn][None], correct[drawn][None], np.log(scores[drawn])[None])[0])

    def best(drawn):
        ranked = sorted(drawn, key=lambda i: -scores[i] if classes[i] >= 0 else 1)[: top_size(0.4, len(drawn))]
        return Fraction(score_votes(classes[ranked][None], correct[ranked][None], np.zeros((1, len(ranked))))[0])

    ks = range(1, n + 1)
    for found, value in (
        (weighted_of_one(classes, correct, np.log(scores), ks, orders), one),
        (top_of_one(classes, correct, scores, 0.4, ks, orders), best),
    ):
        expected = mean_over_subsets(n, value)
        assert (np.abs(found.value - expected) <= 4.5 * np.sqrt(found.variance) + 1e-12).all()
        assert found.variance[-1] == 0


def test_a_nan_score_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        best_of_k(np.ones((1, 2)), np.array([[0.1, np.nan]]))


@settings(max_examples=30)
@given(pools(), st.integers(1, 40))
def test_votes_are_the_same_in_batches_of_any_size(pool, size):
    classes, correct, scores = pool
    orders, ks = draw_subsets(len(classes), 20, key=5), range(1, len(classes) + 1)

    def estimate():
        return np.array(
            [
                weighted_of_one(classes, correct, scores, ks, orders),
                *(top_of_one(classes, correct, scores, share, ks, orders) for share in (0.3, 1.0)),
            ]
        )

    whole = estimate()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voting, "SAMPLES_PER_BATCH", size)
        assert (estimate() == whole).all()


@settings(max_examples=30)
@given(pools())
def test_a_top_vote_of_the_whole_pool_needs_one_order_unless_scores_tie(pool):
    classes, correct, scores = pool
    orders, n = draw_subsets(len(classes), 50, key=5), len(classes)
    for share in (0.2, 0.5, 1.0):
        each = [top_of_one(classes, correct, scores, share, [n], order[None]).value[0] for order in orders]
        assert top_of_one(classes, correct, scores, share, [n], orders).value[0] == pytest.approx(np.mean(each))


@settings(max_examples=30)
@given(st.lists(pools(), min_size=2, max_size=5), st.integers(1, 40))
def test_problems_and_votes_in_one_batch_are_those_taken_alone(drawn, size):
    n = min(len(classes) for classes, *_ in drawn)
    classes, correct, scores = (np.stack([x[i][:n] for x in drawn]) for i in range(3))
    orders, ks = np.stack([draw_subsets(n, 12, key) for key in range(len(drawn))]), range(1, n + 1)
    weights, shares = np.stack([scores, -scores]), (0.3, 0.5, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voting, "SAMPLES_PER_BATCH", size)
        together = [estimate_weighted(classes, correct, weights, ks, orders)]
        together.append(estimate_top(classes, correct, scores, shares, ks, orders))
    for i in range(len(drawn)):
        own = classes[i], correct[i]
        for vote in range(2):
            alone = weighted_of_one(*own, weights[vote, i], ks, orders[i])
            assert all((a == b[vote, i]).all() for a, b in zip(alone, together[0], strict=True))
        for vote, part in enumerate(shares):
            alone = top_of_one(*own, scores[i], part, ks, orders[i])
            assert all((a == b[vote, i]).all() for a, b in zip(alone, together[1], strict=True))
