"""The truth of steps: what is said is right exactly when all of it is true, and a step when all before it is, too."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.core.expressions import strip_annotations
from stages.lib.core.records import Problem, Program, Source, Step
from stages.lib.labels.first_error import locate
from stages.lib.labels.truth import label_steps
from stages.lib.procedural import gradeschool
from stages.lib.procedural.gradeschool import Fault

PROBLEMS = gradeschool.generate_problems("dev", 60, 3, steps=(3, 5), max_value=60)
CHAIN = Problem(
    id="gradeschool/dev/x",
    benchmark="gradeschool",
    split="dev",
    question="?",
    answer="5",
    answer_type="integer",
    steps=[
        Step(text=text, value=value)
        for text, value in (
            ("We know Ann has 16.", "16"),
            ("We know Bob has 7.", "7"),
            ("Then Cal has Ann - 1: Ann has 16, 16 - 1 = <<16-1=15>>15, so Cal has 15.", "15"),
            ("Then Dan has Cal / 3: Cal has 15, 15 / 3 = <<15/3=5>>5, so Dan has 5.", "5"),
            ("#### 5", "5"),
        )
    ],
    program=Program(generator="gradeschool", version=1, params={}),
    licence="MIT",
    source=Source(url="here"),
)
LINES = [strip_annotations(step.text) for step in CHAIN.steps]


def gold(problem: Problem) -> list[str]:
    return [strip_annotations(step.text) for step in problem.steps]


def right(*lines: str, problem: Problem = CHAIN) -> list[bool] | None:
    return label_steps(problem, "\n".join(lines) + "\n")


@pytest.mark.parametrize("problem", PROBLEMS[:20], ids=lambda problem: problem.id)
def test_every_number_and_name_of_a_gold_line_counts(problem):
    lines = gold(problem)
    assert right(*lines, problem=problem) == [True] * len(lines)
    assert right(*(step.text for step in problem.steps), problem=problem) == [True] * len(lines), "with annotations"
    for place, line in enumerate(lines):
        for number in re.finditer(r"[0-9]+", line):
            spoilt = f"{line[: number.start()]}{int(number[0]) + 1}{line[number.end() :]}"
            found = right(*lines[:place], spoilt, *lines[place + 1 :], problem=problem)
            assert found == [True] * place + [False] * (len(lines) - place), spoilt
        for name in re.finditer(r"\b[A-Z][a-z]{2}\b(?= has| [-+*/]|:)", line):
            spoilt = f"{line[: name.start()]}Nobody{line[name.end() :]}"
            assert locate(right(*lines[:place], spoilt, problem=problem)) == place, spoilt


@pytest.mark.slow
@settings(max_examples=150)
@given(
    st.sampled_from(PROBLEMS),
    st.dictionaries(
        st.integers(1, 6),
        st.builds(Fault, st.sampled_from(["reverse", "slip", "number"]), st.sampled_from([-3, -1, 1, 2, 7]))
        | st.builds(Fault, st.just("operand"), st.integers(0, 4)),
        max_size=2,
    ),
)
def test_agrees_with_the_writer_who_knows_his_faults(problem, faults):
    made = gradeschool.solve_program(problem.program.params, faults)
    found = right(*(line.text for line in made), problem=problem)
    clean = gold(problem)
    for place, line in enumerate(made):
        assert not (found[place] and not line.is_correct), "what has a wrong value is wrong"
        if not found[place] and line.is_correct:
            said = [strip_annotations(each.text) for each in made[: place + 1]]
            assert said != clean[: place + 1], "what has the right value is wrong only for what it says on the way"
    assert locate(found) >= 0 or all(line.is_correct for line in made)


def test_the_order_is_free_and_lines_may_be_left_out():
    ann, bob, cal, dan, end = LINES
    assert right(bob, ann, cal, dan, end) == [True] * 5
    assert right(ann, cal, dan, end) == [True] * 4
    assert right(dan, end) == [True] * 2
    assert right(ann, end, bob) == [True] * 3
    assert right("Then Cal has Bob + 8: Bob has 7, 7 + 8 = 15, so Cal has 15.") == [True], "true, by another way"


@pytest.mark.parametrize(
    "line",
    [
        "Right.",
        "We know Ann has 16",
        "We know Ann has.",
        "We know Eve has 16.",
        "#### 6",
        "####",
        "#### N/A",
        "16",
        "Then Cal has Ann - 1: Ann has 16, 16 - 1 = 15.",
        "Then Cal has Ann - 1: Ann has 16, 16 - 1 =, so Cal has 15.",
        "Then Cal has Ann - 1: Bob has 7, 16 - 1 = 15, so Cal has 15.",
        "Then Cal has Ann - 1: Ann has 16, Bob has 8, 16 - 1 = 15, so Cal has 15.",
        "Then Cal has Ann - 1: Ann has 16, 16 - 1 = 15, so Dan has 15.",
        "Then Cal has Ann + 1: Ann has 16, 16 - 1 = 15, so Cal has 15.",
        "Then Cal has Ann - Bob: Ann has 16, Bob has 7, 16 - 1 = 15, so Cal has 15.",
        "Then Cal has Ann / 0: Ann has 16, 16 / 0 = 15, so Cal has 15.",
    ],
)
def test_what_is_wrong_or_cannot_be_read_is_wrong_from_there_on(line):
    assert right(LINES[0], line, *LINES[1:]) == [True] + [False] * 5


def test_nothing_is_told_of_another_writers_prose_or_without_a_program():
    assert right("First I look at Ann.", "So Dan must have 5.", "#### 5") is None
    assert right("First I look at Ann.", "We know Ann has 16.") == [False, False]
    assert right("#### 5") == [True] and right("#### 6") == [False]
    assert label_steps(CHAIN, "") == [] and label_steps(CHAIN, " \n\n") == []
    assert label_steps(CHAIN.model_copy(update={"program": None}), "We know Ann has 16.") is None
    assert label_steps(CHAIN.model_copy(update={"steps": None}), "We know Ann has 16.") is None


def test_variants_know_what_is_told_beside_their_solution():
    problem = PROBLEMS[0]
    program, first = problem.program.params, problem.steps[0].value
    zip_, zap = (
        {"person": "Zip", "entry": {"relation": "more", "of": [0], "number": 4}, "before": 1},
        {"person": "Zap", "entry": {"relation": "given", "number": 9}, "before": 1},
    )
    aside, given_ = ({"operator": "irrelevant", "asides": asides} for asides in ([zip_], [zip_, zap]))

    def variant(*changes):
        params = {"base": {"generator": "gradeschool", "version": 1, "params": program}, "changes": list(changes)}
        return problem.model_copy(update={"program": Program(generator="ood", version=1, params=params)})

    line = (
        f"Then Zip has {program['people'][0]} + 4: {program['people'][0]} has {first}, {first} + 4 = {int(first) + 4}"
    )
    line = f"{line}, so Zip has {int(first) + 4}."
    assert all(right(*gold(problem), problem=variant(aside)))
    assert right(problem.steps[0].text, line, problem=variant(aside)) == [True, True]
    assert right(problem.steps[0].text, line, problem=problem) == [True, False], "nobody told of Zip"
    assert right("We know Zap has 9.", problem=variant(given_)) == [True]
    assert right("We know Zap has 8.", problem=variant(given_)) == [False]
    assert right(line, problem=variant(aside, {"operator": "larger"})) is None, "other numbers: Zip's is not known here"
    assert all(right(*gold(problem), problem=variant(aside, {"operator": "larger"})))


def test_an_unsolvable_problem_is_answered_by_saying_so():
    steps = [*CHAIN.steps[:2], Step(text="We do not know how many Dan has."), Step(text="#### N/A", value="N/A")]
    problem = CHAIN.model_copy(update={"steps": steps, "answer": "N/A"})
    assert right(*gold(problem), problem=problem) == [True] * 4
    assert right(LINES[0], "#### 5", problem=problem) == [True, False]
    assert right(LINES[0], LINES[2], problem=problem) == [True, False], "what cannot be known is not true"


def test_other_forms_are_compared_with_the_gold_line_or_not_at_all():
    steps = [Step(text="1. 3 * 4 = 12", value="12"), Step(text="2. 12 mod 5 = 2", value="2"), Step(text="#### 2")]
    problem = CHAIN.model_copy(update={"steps": steps, "answer": "2"})
    assert right("1. 3 * 4 = 12", "2. 12 mod 5 = 2", "#### 2", problem=problem) == [True] * 3
    assert right("1. 3 * 4 = 13", "by magic", "#### 2", problem=problem) == [False] * 3
    assert right("1. 3 * 4 = 12", "2. 12 mod 5 = 3", problem=problem) == [True, False]
    assert right("1. 3 * 4 = 12", "#### 3", problem=problem) == [True, False]
    assert right("1. 3 * 4 = 12", "by magic", "#### 2", problem=problem) is None
    assert right("1. 3 * 4 = 12", "2. 12 mod 5 = 2", "#### 2", "3. more", problem=problem) is None


@settings(max_examples=200)
@given(st.text(alphabet="We know Ann has16.\nThe,:=+-*/ so#Cl²٣", max_size=200))
def test_any_text_has_a_verdict_a_line_that_never_recovers(text):
    found = label_steps(CHAIN, text)
    if found is not None:
        assert len(found) == len([line for line in text.splitlines() if line.strip()])
        assert found == sorted(found, reverse=True)


def test_a_hostile_line_takes_no_time():
    assert right("Then " + "a has a - a: a has 1, " * 5000) is None
    assert right(LINES[0], "Then A has A - 1: " + "A has 1, " * 5000 + "1 - 1 = 0, so A has 0.") == [True, False]
