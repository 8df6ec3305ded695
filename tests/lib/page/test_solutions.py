"""The solution browser's data: elections agree with the curves, equal solutions stand once, nothing is lost in silence."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.page import solutions
from stages.lib.page.solutions import Question, Solution
from stages.lib.reports import curves
from stages.lib.reports.pools import Pool
from stages.lib.reports.vote_settings import VoteSettings

QUESTION = Question("p1", "How many?", "7", ("3 + 4 = 7", "#### 7"), "p0")


def make_pool(ids, correct, **scores):
    arrays = {name: np.array(values, float) for name, values in scores.items()}
    return Pool("p1", np.array(ids), np.array(correct, float) * (np.array(ids) >= 0), arrays)


def describe(pool, power=1.0, own=None):
    own = own or [Solution([f"#### {i}"], None if i < 0 else str(i)) for i in pool.answer_ids]
    scores = solutions.describe_scores(pool, dict.fromkeys(pool.scores, power), [])
    return solutions.describe_problem(QUESTION, own, pool, scores)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(-1, 3), st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.9])), min_size=1, max_size=8
    )
)
def test_elections_are_those_of_the_curves(rows):
    ids, right, values = zip(*rows, strict=True)
    pool = make_pool(ids, right, orm=values)
    found = describe(pool, 2.0)
    expected = curves.evaluate([pool], {"orm": VoteSettings(power=2.0)}, draws=4, seed=1)
    at_n = {name: curve.values[0, -1] for name, curve in expected.items()}
    (election,) = found["elections"]
    assert found["majority"]["right"] == pytest.approx(at_n["majority"], abs=1e-4)
    assert election["best"]["right"] == pytest.approx(at_n["best_of_orm"], abs=1e-4)
    if pool.size > 1:
        assert election["right"] == pytest.approx(at_n["weighted_orm"], abs=1e-4)
    winners = [found["groups"][i]["right"] for i in election["winners"]]
    assert election["right"] == pytest.approx(np.mean(winners) if winners else 0, abs=1e-3)
    assert sum(group["votes"] for group in found["groups"]) == sum(i >= 0 for i in ids)
    assert sorted(i for row in found["solutions"] for i in row["i"]) == list(range(pool.size))


def test_a_tie_and_a_vote_without_weight():
    found = describe(make_pool([0, 1, -1], [1, 0, 1], orm=[0, 0, 0]))
    (election,) = found["elections"]
    assert election["winners"] == [0, 1] and election["right"] == 0.5 and election["best"]["winners"] == [0, 1]
    assert [row["group"] for row in found["solutions"]] == [0, 1, -1] and found["solutions"][2]["right"] == 0
    nobody = describe(make_pool([-1], [1], orm=[1]))
    assert (
        nobody["groups"] == []
        and nobody["majority"]["winners"] == []
        and nobody["elections"][0]["best"]["winners"] == []
    )


def test_answers_stand_by_votes_and_equal_solutions_once():
    pool = make_pool([2, 0, 0, 0], [0, 1, 1, 1], prm=[0.9, 0.5, 0.5, 0.25])
    texts = ["#### 9", "#### 7", "#### 7", "#### 7"]
    own = [
        Solution([t], t[5:], tokens=3, step_scores={"prm": [0.1234]}, first_error=0 if t[5:] == "9" else -1)
        for t in texts
    ]
    found = describe(pool, own=own)
    assert [(group["answer"], group["votes"], group["right"]) for group in found["groups"]] == [
        ("7", 3, 1),
        ("9", 1, 0),
    ]
    assert [row["i"] for row in found["solutions"]] == [[0], [1, 2], [3]]
    assert found["solutions"][0] | {"i": 0} == {
        "steps": ["#### 9"], "group": 1, "right": 0, "scores": [0.9], "tokens": 3, "first_error": 0,
        "step_scores": {"0": [0.12]}, "i": 0,
    }  # fmt: skip
    assert found["gold"] == ["3 + 4 = 7", "#### 7"] and found["parent"] == "p0"


def test_unknown_truth_and_unfinished_are_said_and_long_texts_are_cut():
    pool = make_pool([0, -1], [1, 0], genrm=[0.5, 0])
    own = [Solution(["x" * 30_000, "y"], "7", rationales={"genrm": ["because"]}), Solution(["z"], None, finished=False)]
    first, second = describe(pool, own=own)["solutions"]
    assert "first_error" not in first and first["rationales"] == {"0": ["because"]} and "finished" not in first
    assert first["steps"] == ["x" * solutions.MAX_TEXT + "..."] and second["finished"] == 0


def test_sets_share_the_room_and_the_rest_is_counted():
    size = len(json.dumps({"id": "a0"}, separators=(",", ":")))
    sets = {
        name: [lambda i=i, name=name: {"id": f"{name}{i}"} for i in range(count)]
        for name, count in (("a", 5), ("b", 2))
    }

    def names(max_problems, max_bytes):
        parts = solutions.fit(sets, max_problems, max_bytes)
        return {part["name"]: ([problem["id"] for problem in part["problems"]], part["left_out"]) for part in parts}

    assert names(9, 10**6) == {"a": (["a0", "a1", "a2", "a3", "a4"], 0), "b": (["b0", "b1"], 0)}
    assert names(1, 10**6) == {"a": (["a0"], 4), "b": (["b0"], 1)}
    assert names(9, 3 * size) == {"a": (["a0", "a1"], 3), "b": (["b0"], 1)}
    assert names(0, 10**6) == {"a": ([], 5), "b": ([], 2)} and solutions.fit({}, 5, 100) == []
