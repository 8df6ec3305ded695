"""Stacked scores: what is fitted, on what, and what dev never sees of itself."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from stages.lib.core.records import Score
from stages.lib.metrics.ranking import within_problem_auc
from stages.lib.reports import ensembles, leaderboard, pools
from stages.lib.reports.curves import Curve

NAMES = ("base_prm", "orm", "prm", "prm_exact")


def make_world(problems=40, n=8, seed=0, name="p"):
    """(pools, scores): every verifier knows something of its own about each solution; one solution has no answer."""
    random, made, scores = np.random.default_rng(seed), [], []
    for i in range(problems):
        correct = random.random(n) < 0.5
        ids = np.where(correct, 0, random.integers(1, 4, n))
        ids[0], correct[0] = -1, False
        values = {x: 1 / (1 + np.exp(-(2.0 * correct - 1 + random.normal(0, 2, n)))) for x in NAMES}
        values |= {x: random.normal(-3, 1, n) for x in pools.LIKELIHOOD_SCORES}
        made.append(pools.make_pool(f"{name}{i}", ids.tolist(), correct.tolist(), values, {}))
        for j in range(n):
            steps = random.random(3).tolist()
            scores.append(Score(problem_id=f"{name}{i}", index=j, verifier="prm", score=0.5, step_scores=steps))
    return made, scores


def add(dev, test):
    return ensembles.add({"dev": dev[0], "test": test[0], "aime": []}, {"dev": dev[1], "test": test[1], "aime": []})


def test_an_ensemble_reads_every_trained_verifier_but_no_oracle():
    by_set, made = add(make_world(), make_world(30, seed=1, name="t"))
    free, trained = made
    assert (free.name, free.verifiers) == ("ensemble_free", ["base_prm"])
    assert (trained.name, trained.verifiers) == ("ensemble", ["orm", "prm"])
    assert list(trained.weights)[:3] == ["ORM", "PRM", "PRM lowest step"] and len(trained.weights) == 2 + 4 + 3
    assert by_set["aime"] == [] and by_set["test"][0].score_kinds["ensemble"] == "probability"
    assert "ORM +" in ensembles.write_notes(made)[1]


def test_two_views_rank_fresh_problems_better_than_one():
    test = add(make_world(80), make_world(200, seed=1, name="t"))[0]["test"]
    auc = {
        name: within_problem_auc([pool.scores[name] for pool in test], [pool.correct > 0 for pool in test])
        for name in ("orm", "prm", "ensemble")
    }
    assert auc["ensemble"] > max(auc["orm"], auc["prm"]) + 0.02


def test_test_is_scored_by_the_fit_on_all_answered_solutions_of_dev():
    dev, test = make_world(), make_world(5, seed=1, name="t")
    by_set, made = add(dev, test)
    steps = {"prm": {(x.problem_id, x.index): x.step_scores for x in dev[1] + test[1]}}

    def collect(some):
        return np.concatenate(
            [np.column_stack(list(ensembles.collect_inputs(pool, ["orm", "prm"], steps).values())) for pool in some]
        )

    answered = np.concatenate([pool.answer_ids for pool in dev[0]]) >= 0
    rows, correct = collect(dev[0])[answered], np.concatenate([pool.correct for pool in dev[0]])[answered]
    scaled = LogisticRegression(C=ensembles.INVERSE_PENALTY, tol=1e-8, max_iter=1000)
    scaled.fit((rows - rows.mean(0)) / rows.std(0), correct)
    expected = scaled.predict_proba((collect(test[0]) - rows.mean(0)) / rows.std(0))[:, 1]
    np.testing.assert_allclose(np.concatenate([pool.scores["ensemble"] for pool in by_set["test"]]), expected)


def test_a_dev_score_never_depends_on_the_answers_of_its_own_problem():
    dev, test = make_world(), make_world(5, seed=1, name="t")
    before = add(dev, test)[0]
    flipped = [*dev[0]]
    flipped[7] = flipped[7]._replace(correct=(1 - flipped[7].correct) * (flipped[7].answer_ids >= 0))
    after = add((flipped, dev[1]), test)[0]
    np.testing.assert_array_equal(before["dev"][7].scores["ensemble"], after["dev"][7].scores["ensemble"])
    assert (before["dev"][0].scores["ensemble"] != after["dev"][0].scores["ensemble"]).any()
    assert (before["test"][0].scores["ensemble"] != after["test"][0].scores["ensemble"]).any()


def test_without_right_answers_on_dev_there_is_no_ensemble():
    dev, test = make_world(), make_world(5, seed=1, name="t")
    for some in ([pool._replace(correct=0 * pool.correct) for pool in dev[0]], dev[0][:1]):
        by_set, made = add((some, dev[1]), test)
        assert made == [] and "ensemble" not in by_set["test"][0].scores


def test_the_best_single_verifier_is_trained_and_no_oracle():
    def curve(accuracy):
        return Curve(np.array([1]), np.array([[accuracy]]), np.zeros(1))

    dev = {"majority": curve(0.4), "weighted_base_prm": curve(0.9), "weighted_prm_exact": curve(0.9)}
    assert leaderboard.select_best_single(dev, 1) is None
    dev |= {"weighted_orm": curve(0.6), "best_of_prm": curve(0.7), "weighted_ensemble": curve(0.9)}
    assert leaderboard.select_best_single(dev, 1) == "best_of_prm"
