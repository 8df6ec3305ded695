"""Bradley-Terry by maximum likelihood against closed forms, grid search, simulation and other packages."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.arena import elo, ratings
from stages.lib.arena.battles import make_battles

LOGIT = 400 / np.log(10)


def simulate(theta, games, random, tie=0.0, prompts=None, spread=0.0):
    """Games between random players; a prompt moves the strength of every player, so its games are not independent."""
    n = len(theta)
    first = random.integers(0, n, games)
    second = (first + random.integers(1, n, games)) % n
    ids = random.integers(0, prompts, games) if prompts else None
    strengths = np.zeros((1, n)) if ids is None else random.normal(0, spread, (prompts, n))
    at = np.zeros(games, int) if ids is None else ids
    margin = theta[first] - theta[second] + strengths[at, first] - strengths[at, second]
    points = (random.random(games) < 1 / (1 + np.exp(-margin))).astype(float)
    points[random.random(games) < tie] = 0.5
    return make_battles([(f"p{i}", f"p{j}", x) for i, j, x in zip(first, second, points, strict=True)], ids)


@pytest.mark.parametrize(("won", "games"), [(7, 10), (1, 3), (50, 99)])
def test_two_players_have_the_closed_form(won, games):
    rows = [("a", "b", 1.0)] * won + [("b", "a", 1.0)] * (games - won)
    fit = ratings.fit(make_battles(rows))
    share = won / games
    assert fit.ratings[0] - fit.ratings[1] == pytest.approx(LOGIT * np.log(share / (1 - share)), abs=1e-6)
    gap_variance = fit.covariance[0, 0] + fit.covariance[1, 1] - 2 * fit.covariance[0, 1]
    assert gap_variance == pytest.approx(1 / (games * share * (1 - share)))
    assert fit.ratings.mean() == pytest.approx(1000) and not fit.ridge and not fit.notes


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 7), st.integers(20, 200))
def test_the_gradient_is_zero_at_the_fit(seed, players, games):
    """Two players alone do not show a wrong optimiser: elote's first fit inverted others (wdm0006/elote pull 65)."""
    random = np.random.default_rng(seed)
    battles = simulate(random.normal(0, 1, players), games, random, tie=0.2)
    fit = ratings.fit(battles)
    points = ratings.count_points(battles)
    expected = (points + points.T) / (1 + np.exp(fit.theta - fit.theta[:, None]))
    assert points.sum(axis=1) == pytest.approx((expected + fit.ridge * np.diag(fit.theta)).sum(axis=1), abs=1e-6)
    assert fit.theta.sum() == pytest.approx(0, abs=1e-6)


def test_a_transitive_double_round_robin_is_monotone():
    names = "abcdef"
    rows = [(x, y, 1.0) for x, y in itertools.combinations(names, 2) for _ in range(3)]
    rows += [(x, y, 0.0) for x, y in itertools.combinations(names, 2)]
    assert (np.diff(ratings.fit(make_battles(rows)).theta) < 0).all()


def test_three_players_against_a_grid():
    rows = [("a", "b", 1.0)] * 7 + [("a", "b", 0.0)] * 4 + [("b", "c", 1.0)] * 6 + [("b", "c", 0.5)] * 3
    rows += [("c", "a", 1.0)] * 2 + [("c", "a", 0.0)] * 8 + [("b", "c", 0.0)] * 2
    battles = make_battles(rows)
    points, theta = ratings.count_points(battles), ratings.fit(battles).theta

    def likelihood(t):
        t = np.array([*t, -sum(t)])
        return (points * -np.log1p(np.exp(t[None] - t[:, None]))).sum()

    grid = np.arange(-1.5, 1.5, 0.01)
    best = max(itertools.product(grid, grid), key=likelihood)
    assert theta[:2] == pytest.approx(best, abs=0.006)


@settings(max_examples=10)
@given(st.integers(0, 10**6))
def test_names_and_the_order_of_rows_do_not_matter(seed):
    random = np.random.default_rng(seed)
    battles = simulate(np.linspace(-1, 1, 4), 120, random, tie=0.2, prompts=30)
    order, swap = random.permutation(120), random.random(120) < 0.5
    a, b = (np.where(swap, *pair)[order] for pair in ((battles.b, battles.a), (battles.a, battles.b)))
    points = np.where(swap, 1 - battles.points, battles.points)[order]
    names = dict(zip(battles.players, random.permutation(["w", "x", "y", "z"]), strict=True))
    rows = [(battles.players[i], battles.players[j], x) for i, j, x in zip(a, b, points, strict=True)]
    prompts = battles.prompts[order].tolist()
    other, fit = make_battles(rows, prompts), ratings.fit(battles)
    assert ratings.fit(other).theta == pytest.approx(fit.theta, abs=1e-9)
    assert ratings.fit(other).errors == pytest.approx(fit.errors)
    renamed = ratings.fit(make_battles([(names[x], names[y], p) for x, y, p in rows], prompts))
    places = [sorted(names.values()).index(names[player]) for player in battles.players]
    assert renamed.theta[places] == pytest.approx(fit.theta, abs=1e-9)
    plain = [(battles.players[i], battles.players[j], x) for i, j, x in zip(*battles[1:4], strict=True)]
    same = make_battles(plain, battles.prompts.tolist())
    first, second = (ratings.bootstrap(x, 1, 20) for x in (same, other))
    assert first.low == pytest.approx(second.low, abs=1e-6) and first.high == pytest.approx(second.high, abs=1e-6)


def test_twice_the_data_keeps_the_ratings_and_halves_the_variance():
    battles = simulate(np.linspace(-1, 1, 5), 300, np.random.default_rng(0))
    rows = [(battles.players[i], battles.players[j], x) for i, j, x in zip(*battles[1:4], strict=True)]
    once, twice = ratings.fit(make_battles(rows)), ratings.fit(make_battles(rows * 2))
    assert twice.theta == pytest.approx(once.theta, abs=1e-9)
    assert twice.covariance == pytest.approx(once.covariance / 2, abs=1e-9)
    same_prompts = ratings.fit(make_battles(rows * 2, [*range(300)] * 2))
    assert same_prompts.covariance == pytest.approx(once.covariance), "a prompt counts once, however often it is played"


@pytest.mark.slow
def test_the_intervals_hold_the_true_rating_in_95_of_100_simulations():
    """Of prompts with four games each that share their prompt's effect, which makes games of a prompt alike."""
    theta = np.array([-0.6, -0.2, 0.2, 0.6])
    large = simulate(theta, 200_000, np.random.default_rng(99), prompts=50_000, spread=1.0)
    target = ratings.fit(large).ratings  # what the fit tends to; the effects of prompts shrink all differences
    hits, ratios = [], []
    for seed in range(400):
        battles = simulate(theta, 800, np.random.default_rng(seed), prompts=200, spread=1.0)
        fit = ratings.fit(battles)
        hits += (abs(fit.ratings - target) <= 1.96 * fit.errors).tolist()
        if seed < 10:
            interval = ratings.bootstrap(battles, seed, 200)
            ratios += ((interval.high - interval.low) / (2 * 1.96 * fit.errors)).tolist()
    assert 0.93 <= np.mean(hits) <= 0.97, np.mean(hits)
    assert np.mean(ratios) == pytest.approx(1, abs=0.05), "the bootstrap is as wide as the sandwich"


def test_a_circle_has_equal_ratings():
    rows = [("a", "b", 1.0), ("b", "c", 1.0), ("c", "a", 1.0)] * 5
    fit = ratings.fit(make_battles(rows))
    assert fit.theta == pytest.approx([0, 0, 0], abs=1e-9) and not fit.notes


def test_separation_is_said_and_the_order_kept():
    """The maximum is at infinity; slow iterations stop 1000 points short of it without a word (tabarena pull 500)."""
    rows = [("best", x, 1.0) for x in "ab" for _ in range(50)] + [("a", "b", 1.0), ("b", "a", 1.0), ("a", "b", 0.5)]
    fit = ratings.fit(make_battles(rows))
    assert fit.ridge and "No maximum of the likelihood" in fit.notes[0] and "{best}" in fit.notes[0]
    assert fit.theta[2] > fit.theta[0] + 3 and np.isfinite(fit.errors).all()
    assert ratings.bootstrap(make_battles(rows), 1, 20).ridged == 20


def test_a_single_outcome_is_no_crash():
    """tabarena issue 193: a classifier that sees one class."""
    fit = ratings.fit(make_battles([("a", "b", 1.0)] * 9))
    assert fit.theta[0] > fit.theta[1] and fit.notes
    assert ratings.fit(make_battles([("a", "b", 0.5)] * 9)).theta == pytest.approx([0, 0])


def test_groups_that_never_met_are_named():
    rows = [("a", "b", 1.0), ("b", "a", 1.0), ("c", "d", 1.0), ("c", "d", 0.0), ("c", "d", 1.0)]
    fit = ratings.fit(make_battles(rows))
    assert fit.notes == [
        "The players fall into 2 groups that never met: {a, b}, {c, d}. Ratings are comparable within a group only; the "
        "mean of each is set to 1000."
    ]
    assert fit.ratings.reshape(2, 2).mean(axis=1) == pytest.approx([1000, 1000])


def test_near_separation_reaches_the_maximum():
    """sklearn's tolerance of 1e-4 stops after a few steps and shrinks ratings (tabarena pull 488)."""
    rows = [("a", "b", 1.0)] * 99_999 + [("b", "a", 1.0)]
    fit = ratings.fit(make_battles(rows))
    assert fit.ratings[0] - fit.ratings[1] == pytest.approx(LOGIT * np.log(99_999), rel=1e-6)


def test_length_is_taken_out():
    random = np.random.default_rng(3)
    games = 6000
    first = random.integers(0, 3, games)
    second = (first + random.integers(1, 3, games)) % 3
    lengths = np.clip(random.normal(0.25 * (first - second), 0.2), -1, 1)
    theta = np.array([0.5, 0.0, -0.5])  # the best player writes least, and longer answers are liked
    margin = theta[first] - theta[second] + 4 * lengths
    points = (random.random(games) < 1 / (1 + np.exp(-margin))).astype(float)
    rows = [("abc"[i], "abc"[j], x) for i, j, x in zip(first, second, points, strict=True)]
    battles = make_battles(rows, None, lengths.tolist())
    plain, fair = ratings.fit(battles), ratings.fit(battles, with_length=True)
    assert plain.theta[0] < plain.theta[2] and fair.theta == pytest.approx(theta, abs=0.15)
    effect, error = fair.length
    assert effect / battles.lengths.std() == pytest.approx(4, abs=0.3) and effect > 10 * error
    same = ratings.fit(make_battles(rows, None, [0.0] * games), with_length=True)
    assert same.theta == pytest.approx(plain.theta, abs=1e-6) and same.length == (0, pytest.approx(0))


def test_elo_depends_on_the_order_and_bradley_terry_does_not():
    rows = [("a", "b", 1.0)] * 30 + [("b", "a", 1.0)] * 30
    forward, back = make_battles(rows), make_battles(rows[::-1])
    assert elo.rate(forward)[1] > 1000 > elo.rate(back)[1]
    assert ratings.fit(forward).theta == pytest.approx(ratings.fit(back).theta)
    assert elo.rate(make_battles([("a", "b", 1.0)])) == pytest.approx([1002, 998])
    shuffled = elo.rate_shuffled(forward, 1, 5)
    assert shuffled.sum(axis=1) == pytest.approx([2000] * 5) and len({*shuffled[:, 0]}) == 5


def test_choix_finds_the_same_maximum():
    import choix

    battles = simulate(np.linspace(-1, 1, 6), 500, np.random.default_rng(5))
    wins = [(i, j) if x else (j, i) for i, j, x in zip(*(column.tolist() for column in battles[1:4]), strict=True)]
    assert ratings.fit(battles).theta == pytest.approx(choix.ilsr_pairwise(6, wins, alpha=0, tol=1e-12), abs=1e-5)


def test_evalica_finds_the_same_maximum_with_ties():
    import evalica

    battles = simulate(np.linspace(-1, 1, 6), 500, np.random.default_rng(6), tie=0.2)
    winners = [{1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}[x] for x in battles.points]
    names = [[battles.players[i] for i in side] for side in (battles.a, battles.b)]
    scores = evalica.bradley_terry(*names, winners, tolerance=1e-12, limit=10_000).scores
    theirs = np.log(scores[battles.players].to_numpy())
    assert ratings.fit(battles).theta == pytest.approx(theirs - theirs.mean(), abs=1e-4)
