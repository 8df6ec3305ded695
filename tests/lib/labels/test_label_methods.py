"""Step labels by Monte Carlo: searches against brute force, rollouts that do not depend on company, and their audit."""

import itertools
from math import ceil, log2
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.core.errors import UserError
from stages.lib.core.expressions import strip_annotations
from stages.lib.inference import engines
from stages.lib.inference.sampling import Distribution
from stages.lib.labels import label_audit, label_methods, rollouts
from stages.lib.labels.label_audit import Case
from stages.lib.labels.label_methods import Estimate, Solution
from stages.lib.labels.rollouts import Request, make_cached_completer, make_prefix_key, run_searches
from stages.lib.models import encoding
from stages.lib.procedural import gradeschool
from tests.helpers import tiny_models

BASE = Path(__file__).parents[3] / "data/raw/base"
PROBLEM = tiny_models.make_problem(0)
outcomes_ = st.integers(1, 8).flatmap(lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), max_size=6))


def solution(steps: int, correct: bool = False, reached: int = -1, start: float = 0.5, of=PROBLEM) -> Solution:
    return Solution(of, 0, [f"line {i}" for i in range(steps)], correct, reached, start)


def table(of: Solution, found: list[list[bool]]) -> dict:
    return {make_prefix_key(of.problem, of.steps[: step + 1]): right for step, right in enumerate(found)}


def searched(search, of: Solution, found: list[list[bool]], **options):
    n = len(found[0]) if found else 4
    (labels,), cost = run_searches(
        [(of.problem, of.steps, search(of, n, **options))], make_cached_completer(table(of, found))
    )
    return labels, cost.completions


def values(labels) -> list[float]:
    return [each.value for each in labels]


@pytest.mark.slow
@settings(max_examples=200)
@given(outcomes_, st.booleans())
def test_full_estimates_are_shares_and_hard_ones_their_sign(found, correct):
    of = solution(len(found) + 1, correct)
    soft, cost = searched(label_methods.mc_soft, of, found)
    assert values(soft) == [*(sum(right) / len(right) for right in found), float(correct)]
    assert cost == sum(map(len, found)), "nothing is completed after the end"
    hard, cheaper = searched(label_methods.mc_hard, of, found)
    assert (
        values(hard) == values(label_methods.harden(soft)) == [*(float(any(right)) for right in found), float(correct)]
    )
    assert cheaper <= cost and all(
        each.rollouts == (right.index(True) + 1 if any(right) else len(right))
        for each, right in zip(hard, found, strict=False)
    )
    last = max((step for step, each in enumerate(hard) if each.value), default=-1)
    assert values(searched(label_methods.mc_monotone, of, found)[0]) == [
        float(i <= last) for i in range(len(found) + 1)
    ]


@pytest.mark.slow
@settings(max_examples=200)
@given(st.integers(1, 9), st.integers(0, 9), st.integers(1, 8), st.data())
def test_binary_search_finds_the_first_wrong_step_where_there_is_one(steps, wrong, n, data):
    """Where every step before the first wrong one succeeds and none after, it says what full Monte Carlo says."""
    wrong = min(wrong, steps - 1)
    some = st.lists(st.booleans(), min_size=n, max_size=n).filter(any)
    found = [data.draw(some) if step < wrong else [False] * n for step in range(steps - 1)]
    reached = data.draw(st.integers(-1, wrong - 1))
    of = solution(steps, reached=reached)
    (labels,), cost = run_searches(
        [(of.problem, of.steps, label_methods.binary_search(of, n))], make_cached_completer(table(of, found))
    )
    assert values(labels) == [float(step < wrong) for step in range(steps)]
    assert cost.completions <= n * ceil(log2(steps - reached)), "a probe halves what is open"
    assert sum(each.rollouts for each in labels) <= cost.completions


@pytest.mark.slow
@settings(max_examples=200)
@given(outcomes_, st.integers(-1, 6))
def test_binary_search_never_contradicts_what_it_saw(found, reached):
    of = solution(len(found) + 1, reached=min(reached, len(found) - 1))
    labels, _ = searched(label_methods.binary_search, of, found)
    assert values(labels) == sorted(values(labels), reverse=True) and labels[-1].value == 0
    assert all(each.value == 1 for each in labels[: of.last_shared_step + 1])
    assert all(each.value == 1 for each in labels if each.successes), "a step that succeeded is right"


def test_a_right_solution_costs_no_search():
    for steps in (0, 1, 4):
        of = solution(steps, correct=True, reached=steps - 1)
        assert searched(label_methods.binary_search, of, []) == ([Estimate(1.0)] * steps, 0)


def test_relative_progress_by_hand():
    soft = [Estimate(share) for share in (0.5, 0.4, 0.31, 0.9, 0.0, 1.0)]
    assert values(label_methods.apply_relative_progress(soft, 0.6, 0.8)) == [1.0, 1.0, 0.0, 1.0, 0.0, 0.0], (
        "and nothing after a dead end"
    )
    assert values(label_methods.apply_relative_progress(soft, 0.7, 0.8)) == [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]
    assert values(label_methods.apply_relative_progress(soft[:1], 0.0, 0.8)) == [1.0]
    found = [[True, True], [True, False], [False, False]]
    assert values(searched(label_methods.relative_progress, solution(4, start=1.0), found)[0]) == [1.0, 0.0, 0.0, 0.0]
    assert searched(label_methods.consensus, solution(4, start=1.0), found)[0] is None, "hard says 2, progress 1"
    agreed = searched(label_methods.consensus, solution(4, start=1.0), found, threshold=0.5)[0]
    assert values(agreed) == [1.0, 1.0, 0.0, 0.0]


@pytest.mark.slow
@settings(max_examples=200)
@given(st.lists(st.tuples(st.lists(st.sampled_from("ab"), max_size=4), st.booleans()), min_size=1, max_size=6))
def test_a_pool_shows_what_a_right_solution_went_through(pool):
    found = label_methods.find_last_shared_steps([lines for lines, _ in pool], [so for _, so in pool])
    for (lines, so), reached in zip(pool, found, strict=True):
        alive = [
            end
            for end in range(1, len(lines) + 1)
            if any(right and other[:end] == lines[:end] and len(other) >= end for other, right in pool)
        ]
        assert reached == (len(lines) if so else min(max(alive, default=0), max(0, len(lines) - 1))) - 1


def test_solutions_of_a_problem():
    pool = [
        tiny_models.make_sample(PROBLEM, 0, 0),
        tiny_models.make_sample(PROBLEM, 1, 3),
        tiny_models.make_sample(PROBLEM, 2, 0),
    ]
    first, second, third = label_methods.build_solutions(PROBLEM, pool)
    assert (first.correct, first.last_shared_step, second.last_shared_step, third.last_shared_step) == (True, 1, -1, 1)
    assert second.success_rate == 2 / 3 and second.index == 1 and second.steps == pool[1].text.splitlines()
    same = pool[1].model_copy(update={"text": f"{first.steps[0]}\n#### 99\n"})
    assert label_methods.build_solutions(PROBLEM, [pool[0], same])[1].last_shared_step == 0
    assert [of.last_shared_step for of in label_methods.build_solutions(PROBLEM, [pool[0], same], use_pool=False)] == [
        1,
        -1,
    ]
    assert (
        label_methods.is_mixed([True, False])
        and not label_methods.is_mixed([True])
        and not label_methods.is_mixed([False])
    )


def test_solutions_that_begin_alike_share_their_rollouts():
    asked = []

    def complete(requests):
        asked.extend((request.steps, request.start, request.stop) for request in requests)
        return [rollouts.Reply([number > 1 for number in range(one.start, one.stop)], 7) for one in requests]

    one, two = solution(3), solution(3)._replace(steps=["line 0", "other", "end"])
    outcomes: dict = {}
    jobs = [(of.problem, of.steps, label_methods.mc_soft(of, 2)) for of in (one, two)]
    labels, cost = run_searches(jobs, complete, outcomes)
    assert sorted(asked) == [(("line 0",), 0, 2), (("line 0", "line 1"), 0, 2), (("line 0", "other"), 0, 2)]
    assert cost == (6, 21) and labels[0] == labels[1] == [Estimate(0.0, 2, 0)] * 2 + [Estimate(0.0)]
    asked.clear()
    again, more = run_searches([(PROBLEM, one.steps, label_methods.mc_soft(one, 4))], complete, outcomes)
    assert asked == [(("line 0",), 2, 4), (("line 0", "line 1"), 2, 4)], "only what is not known yet"
    assert more.completions == 4 and values(again[0]) == [0.5, 0.5, 0.0]
    assert run_searches([], complete, outcomes) == ([], (0, 0))
    with pytest.raises(ValueError, match="4 rollouts of a prefix where 5"):
        run_searches([(PROBLEM, one.steps, label_methods.mc_soft(one, 5))], make_cached_completer(outcomes))


@pytest.mark.slow
def test_a_rollout_is_the_same_in_any_company():
    """The bundled model completes solutions of procedural problems."""
    encoder, problems = (
        encoding.Encoder.load(BASE),
        gradeschool.generate_problems("dev", 3, 1, steps=(2, 2), max_value=20),
    )
    complete = rollouts.make_completer(engines.make_engine("native", BASE, 64), encoder, 1, Distribution(0.7), 120)
    lines = {of.id: [strip_annotations(step.text) for step in of.steps] for of in problems}
    requests = [Request(of, tuple(lines[of.id][:end]), 0, 4) for of in problems for end in (0, 2, 3)]
    together = complete(requests)
    for request, reply in zip(requests[2:5], together[2:5], strict=True):
        halves = complete([request._replace(start=2), request._replace(stop=2)])
        assert halves[1].correct + halves[0].correct == reply.correct
        assert sum(half.tokens for half in halves) == reply.tokens
    almost = [reply.correct for request, reply in zip(requests, together, strict=True) if len(request.steps) == 3]
    assert any(map(any, almost)), "with all steps but the answer given, some completion is right"
    wrong = [Request(of.model_copy(update={"answer": "9999"}), tuple(lines[of.id]), 0, 4) for of in problems[:1]]
    assert complete(wrong)[0].correct == [False] * 4
    other = rollouts.make_completer(engines.make_engine("native", BASE, 64), encoder, 2, Distribution(0.7), 120)
    assert [reply.tokens for reply in other(requests)] != [reply.tokens for reply in together], "another seed"
    with pytest.raises(UserError, match=f"{problems[0].id}: .* exceed the 2048 tokens of the model; lower"):
        rollouts.make_completer(engines.make_engine("native", BASE, 64), encoder, 1, Distribution(0.7), 2000)(requests)


def test_audit_by_hand():
    cases = [
        Case("a", [1, 0, 0], [True, False, False]),  # placed
        Case("a", [1, 1, 0], [True, False, False]),  # too late
        Case("b", [1, 1, 1], [True, True, True]),  # right, and seen so
        Case("b", [0.4, 1, 1], [True, True, True]),  # a false alarm
        Case("c", [1, 1], [True, False]),  # missed
    ]
    found = label_audit.measure(cases, 1)
    assert (found.precision, found.recall, found.solutions) == (pytest.approx(1 / 3), pytest.approx(1 / 3), 5)
    assert found.micro_f1.value == pytest.approx(1 / 3)
    assert found.micro_f1.low <= found.micro_f1.value <= found.micro_f1.high
    assert found.steps_right == pytest.approx(11 / 14)
    # Right steps: 1 1 | 1 1 1 .4 1 1 | 1; wrong ones: 0 0 1 0 1. Of the 45 pairs 0.4 wins three and loses two.
    assert found.auc.value == pytest.approx((8 * 3 + 8 * 2 / 2 + 3) / 45) and found.auc.low <= found.auc.value
    assert found.brier == pytest.approx((0.6**2 + 2) / 14)
    assert found == label_audit.measure(cases, 1) and label_audit.measure([], 1) is None
    alone = label_audit.measure([Case("a", [1.0], [True])], 1)
    assert alone.micro_f1.value == 0 and alone.auc is None and "auc" not in alone.to_dict()
    soft = label_audit.measure(cases, 1, is_binary=False)
    assert soft == found._replace(precision=None, recall=None, micro_f1=None, steps_right=None)
    assert set(soft.to_dict()) == {"auc", "auc_low", "auc_high", "brier", "solutions"}


def test_shares_of_successes_need_no_threshold():
    """Right steps of a hard problem succeed seldom: all under one half, and yet told apart from wrong ones."""
    cases = [Case("a", [0.4, 0.3, 0.0], [True, True, False]), Case("b", [0.2, 0.0, 0.0], [True, False, False])]
    found = label_audit.measure(cases, 1, is_binary=False)
    assert found.auc == (1.0, 1.0, 1.0) and found.brier == pytest.approx((0.6**2 + 0.7**2 + 0.8**2) / 6)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 0.3, 1.0]), st.booleans()), min_size=1, max_size=12
    )
)
def test_auc_is_that_of_all_pairs(steps):
    found = label_audit.measure(
        [Case(name, [value], [so]) for name, value, so in steps], 1, is_binary=False, resamples=50
    )
    pairs = [(a > b) + (a == b) / 2 for _, a, so in steps if so for _, b, other in steps if not other]
    assert (found.auc is None) == (not pairs) and (not pairs or found.auc.value == pytest.approx(np.mean(pairs)))


def test_shares_of_nothing():
    assert label_audit.flawed_correct_rate([True, True, False], [[True], [True, False], [False]]) == 0.5
    assert label_audit.flawed_correct_rate([False], [[False]]) is None


def test_the_interval_resamples_problems():
    """Three problems: every resample of three can be listed, and the quantiles of their F1 are the interval's ends."""
    cases = (
        [Case(name, [0.0], [False]) for name in "a"]
        + [Case("b", [1.0, 0.0], [False, False])] * 2
        + [Case("c", [0.0, 0.0], [False, False])] * 3
    )
    counts = np.array([[1, 1, 1], [0, 2, 2], [3, 3, 3]])
    exact = sorted(
        2 * counts[list(draw)][:, 0].sum() / counts[list(draw)][:, 1:].sum()
        for draw in itertools.product(range(3), repeat=3)
    )
    found = label_audit.measure(cases, 5, resamples=20000, confidence=0.8)
    low, high = np.quantile(exact, [0.1, 0.9], method="inverted_cdf")
    assert (found.micro_f1.low, found.micro_f1.high) == (pytest.approx(low), pytest.approx(high))


def test_the_interval_of_auc_resamples_problems():
    """The same by listing: each resample's AUC over all its pairs of a right step and a wrong one."""
    cases = [
        Case("a", [0.9, 0.2], [True, False]),
        Case("b", [0.1, 0.4], [True, False]),
        Case("c", [0.5, 0.5], [True, False]),
    ]
    exact = sorted(
        np.mean(
            [
                (cases[p].values[0] > cases[q].values[1]) + (cases[p].values[0] == cases[q].values[1]) / 2
                for p in draw
                for q in draw
            ]
        )
        for draw in itertools.product(range(3), repeat=3)
    )
    found = label_audit.measure(cases, 5, resamples=20000, confidence=0.8)
    low, high = np.quantile(exact, [0.1, 0.9], method="inverted_cdf")
    assert (found.auc.low, found.auc.high) == (pytest.approx(low), pytest.approx(high))


@pytest.mark.slow
def test_the_audit_of_every_kind(tmp_path):
    """Steps that succeed with chance 0.4 while right and never after: more rollouts place the error better."""
    random = np.random.default_rng(0)
    of, right, outcomes = [], [], {}
    for i in range(60):
        problem = tiny_models.make_problem(i).model_copy(update={"id": f"p{i:02}"})
        wrong = int(random.integers(0, 5))
        one = solution(5, correct=False, of=problem, start=0.4)
        of.append(one)
        right.append([step < wrong for step in range(5)])
        outcomes |= table(one, [list(random.random(16) < 0.4 * (step < wrong)) for step in range(4)])
    rows = label_audit.compare_to_truth(of, right, outcomes, [1, 4, 16], key=3)
    f1 = {(row.method, row.rollouts): row.audit.micro_f1.value for row in rows if row.audit.micro_f1}
    auc = {(row.method, row.rollouts): row.audit.auc.value for row in rows}
    cost = {(row.method, row.rollouts): row.completions for row in rows}
    assert list(auc)[:2] == [("outcome alone", 0), ("pool alone", 0)]
    assert set(auc) == {(kind, n) for kind in label_audit.METHODS for n in (1, 4, 16)} | set(list(auc)[:2])
    assert set(auc) - set(f1) == {("soft", 1), ("soft", 4), ("soft", 16)}, "a share decides nothing"
    assert auc["soft", 1] < auc["soft", 4] < auc["soft", 16] > 0.95 and auc["soft", 16] >= auc["hard", 16]
    assert f1["hard", 1] < f1["hard", 4] < f1["hard", 16] > 0.95
    assert f1["binary search", 16] > 0.95 and cost["binary search", 16] < cost["hard", 16] < cost["soft", 16] == 64
    assert f1["hard, monotone", 4] > f1["hard", 4]
    assert f1["outcome alone", 0] == pytest.approx(np.mean([sum(steps) == 4 for steps in right]))
    label_audit.plot(tmp_path / "a.png", rows, "title")
    label_audit.plot(tmp_path / "b.png", rows, "title")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert label_audit.format_report(rows).count("|\n") == len(rows) + 2
