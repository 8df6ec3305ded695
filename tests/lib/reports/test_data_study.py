"""Studies of training data: what is measured, gains against random data, and what is said where there are none."""

import numpy as np
import pytest

from stages.lib.metrics import crossed
from stages.lib.reports import data_study
from stages.lib.reports.data_study import Outcome
from tests.helpers import tiny_models


def make_results(better, seeds=3, problems=80):
    """Arm `good` is right on a share `better` more of the problems than its control."""
    random = np.random.default_rng(5)
    results = {"good": {}, "good-items": {}}
    for seed in range(1, seeds + 1):
        base = random.random(problems) < 0.4
        more = base | (random.random(problems) < better)
        for arm, right in (("good", more), ("good-items", base)):
            values = {f"t/{i}": float(x) for i, x in enumerate(right)}
            results[arm][seed] = Outcome({"pass@1": values}, {"items": 10, "tokens": 100, "noise_kept": 0.5})
    return results


def test_values_by_hand():
    problem, variant = tiny_models.make_problem(0, "test"), tiny_models.make_problem(1, "test")
    variant = variant.model_copy(update={"id": f"{problem.id}~numbers", "operator": "numbers", "parent": problem.id})
    test = [tiny_models.make_sample(problem, 0, 0), tiny_models.make_sample(problem, 1, 0, "length")]
    ood = [tiny_models.make_sample(variant, i, i) for i in range(4)]
    values = data_study.measure(test, test[1:], ood, [variant], ["numbers", "typos"])
    assert values == {
        "greedy": {problem.id: 0.0},
        "pass@1": {problem.id: 0.5},
        "pass@k": {problem.id: 1.0},
        "numbers": {variant.id: 0.25},
    }, "cut off is wrong; a set without problems has no column"


def test_a_real_gain_is_found_and_none_is_told_plainly():
    for better, said in ((0.4, "better: good on pass@1"), (0.0, "random is as good: no gain is beyond chance")):
        results = make_results(better)
        gain = data_study.compare(results, "good", "good-items", "pass@1")
        assert gain and said in data_study.describe_gains(data_study.correct([gain]), "items", {})
    assert "no arm has been run" in data_study.describe_gains([], "items", {})


def test_only_seeds_and_problems_that_both_have_are_compared():
    results = make_results(0.3)
    full = data_study.compare(results, "good", "good-items", "pass@1")
    del results["good"][3]
    results["good"][1].values["pass@1"].pop("t/0")
    part = data_study.compare(results, "good", "good-items", "pass@1")
    assert full and part and full != part
    assert data_study.compare(results, "good", "good-items", "greedy") is None
    assert data_study.compare({}, "good", "good-items", "pass@1") is None


def test_tables_have_a_row_for_each_arm_and_correct_for_all_gains():
    results = make_results(0.4)
    header, rows = data_study.tabulate_arms(results, {"good": ["pass@1"]})
    assert header[:5] == ["arm", "seeds", "problems", "tokens", "pass@1 %"]
    assert [row[0] for row in rows] == ["good", "good-items"] and rows[0][5:] == ["50.0", "", ""]
    assert rows[0][4].endswith("†") and "†" not in rows[1][4]
    gain = data_study.compare(results, "good", "good-items", "pass@1")
    assert gain
    gains = data_study.correct([gain._replace(p=0.03), gain._replace(outcome="numbers", p=0.04)])
    assert [one.p for one in gains] == [0.06, 0.06]
    _, rows = data_study.tabulate_gains(gains, {"good": ["numbers"]})
    assert len(rows) == 1 and rows[0][2] == "0.060" and "*" not in "".join(rows[0])
    assert [cell.endswith("†") for cell in rows[0]] == [False, False, False, True, False]


def test_the_smallest_detectable_difference_is_that_of_the_usual_formula():
    """For many problems of one training: (1.96 + 0.84) standard errors."""
    differences = np.random.default_rng(2).normal(0, 1, (1, 4000))
    mean = crossed.estimate_mean(differences)
    gain = data_study.Gain("a", "b", "pass@1", *mean[:3], 0.5)
    found = data_study.compute_detectable([gain, gain])
    assert found == {"pass@1": pytest.approx(2.8016 * mean.error, rel=1e-3)}


def test_data_of_another_size_than_the_control_s_are_told():
    results = make_results(0.3)
    pairs = {"good": "good-items"}
    assert data_study.describe_sizes(results, pairs, "tokens") == []
    results["good-items"] = {s: o._replace(figures={"tokens": 110}) for s, o in results["good-items"].items()}
    (told,) = data_study.describe_sizes(results, pairs, "tokens")
    assert told == "good has 100 tokens, its control good-items 110: not of equal size."
    assert data_study.describe_sizes(results, pairs, "items") == [], "unknown sizes are not compared"
    assert [gain.outcome for gain in data_study.compare_all(results, pairs)] == ["pass@1"]


@pytest.mark.parametrize("trainings", [1, 3])
def test_p_values_agree_with_intervals(trainings):
    random = np.random.default_rng(trainings)
    for _ in range(30):
        values = random.normal(random.choice([0, 0.15]), 1, (trainings, 40)) + random.normal(0, 0.1, (trainings, 1))
        p = crossed.compute_p_value(values)
        for confidence in (0.5, 0.9, 0.95, 0.99):
            interval = crossed.estimate_mean(values, confidence=confidence)
            assert (interval.low <= 0 <= interval.high) == (p >= 1 - confidence)
    assert crossed.compute_p_value(np.zeros((2, 5))) == 1.0 and crossed.compute_p_value(np.ones((2, 5))) == 0.0
