"""First errors: ProcessBench's F1 by hand, the threshold against every cut."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.core.expressions import strip_annotations
from stages.lib.core.records import Sample, Score
from stages.lib.labels import first_error
from stages.lib.procedural import gradeschool


def test_f1_by_hand():
    found = first_error.f1([1, -1, 0, -1, 2], [1, -1, 2, 0, -1])
    assert found == (pytest.approx(1 / 3), pytest.approx(1 / 2), pytest.approx(0.4))
    assert first_error.f1([0], [-1]) == (None, 0.0, None)
    assert first_error.f1([0, 1], [1, -1]).f1 == 0.0


def test_the_first_step_below_is_the_one():
    assert first_error.locate([0.9, 0.4, 0.1], 0.5) == 1
    assert first_error.locate([0.9, 0.5], 0.5) == -1
    assert first_error.locate([], 0.5) == -1


@pytest.mark.slow
@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]), min_size=1, max_size=4), st.integers(-1, 3)),
        min_size=1,
        max_size=12,
    )
)
def test_no_other_threshold_does_better(cases):
    scores, truth = zip(*cases, strict=True)
    chosen = first_error.choose_threshold(scores, truth)

    def value(threshold):
        return first_error.f1([first_error.locate(own, threshold) for own in scores], truth).f1 or 0.0

    cuts = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert value(chosen) == max(value(cut) for cut in itertools.chain(cuts, [chosen]) if cut > 0.1)


def test_cases_and_threshold_of_a_pool():
    (problem,) = gradeschool.generate_problems("dev", 1, 3, steps=(2, 2), max_value=30)
    right = "\n".join(strip_annotations(step.text) for step in problem.steps)
    wrong = right.replace("We know", "We do not know", 1)
    samples = [
        Sample(
            problem_id=problem.id,
            index=i,
            text=text,
            answer="1",
            correct=None,
            finish="stop",
            logprob=-1.0,
            min_logprob=-1.0,
            tokens=1,
        )
        for i, text in enumerate((right, wrong, wrong))
    ]
    n = len(problem.steps)
    scores = [
        Score(problem_id=problem.id, index=i, verifier="prm", score=0.5, step_scores=[first, *[0.9] * (n - 1), 0.0])
        for i, first in enumerate((0.8, 0.2, 0.2))
    ]
    found = first_error.collect_cases({problem.id: problem}, samples, scores)
    assert found == [([0.8, *[0.9] * (n - 1)], -1), ([0.2, *[0.9] * (n - 1)], 0)], "each wording once, without the end"
    figures = first_error.measure(found, {"test": found, "empty": []})
    assert 0.2 < figures["threshold"] <= 0.8
    assert figures["test"] == {"solutions": 2, "error": 1.0, "correct": 1.0, "f1": 1.0} and "empty" not in figures
    assert first_error.measure([], {"test": found}) == {}
