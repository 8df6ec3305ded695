"""Problems that ask for x: x is proven to be unique, the steps lead back to it, and it gives the answer when put in."""

import json
import os
import random
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.core.records import Problem, Source, Step
from stages.lib.operators.programs import gsm8k_program
from stages.lib.procedural import gradeschool, lifting
from stages.lib.procedural.gradeschool import variation
from stages.lib.procedural.lifting import programs
from stages.lib.procedural.states import NotApplicable
from stages.problems.augmentation import masking, unknowns
from stages.problems.augmentation.declarative import make_statement
from stages.problems.augmentation.methods import fobar, self_verification
from tests.helpers.exact_arithmetic import evaluate

PUBLISHED = os.environ.get("ASSAY_BENCHMARKS")
DOMAIN = [Fraction(n) for n in range(1, 101)]


def problem(question, lines, number=0):
    steps = [Step(text=line, value=line.rpartition(">>")[0].rpartition("=")[2] or None) for line in lines[:-1]]
    answer = lines[-1].removeprefix("#### ").replace(",", "")
    return Problem(
        id=f"gsm8k/train/{number:04}",
        benchmark="gsm8k",
        split="train",
        question=question,
        answer=answer,
        answer_type="number",
        steps=[*steps, Step(text=lines[-1], value=answer)],
        licence="MIT",
        source=Source(url="here"),
    )


@pytest.mark.parametrize(
    "program, value, reason",
    [
        (lambda x: 3 * x + 4, 7, None),
        (lambda x: 12, 7, "does not matter"),
        (lambda x: x // 5, 7, "several"),
        (lambda x: min(x, 6), 7, "several"),
        (lambda x: max(x, 9), 7, "several"),
        (lambda x: (30 * x + 50) // 100, 7, "several"),  # 30 percent, rounded
        (lambda x: (x - 7) * (x - 9), 7, "several"),
        (lambda x: x if x % 2 else None, 7, None),
        (lambda x: None, 7, "does not give the answer"),
    ],
)
def test_a_number_is_asked_for_only_if_the_answer_leaves_one_value(program, value, reason):
    answer = program(Fraction(value))
    fitting = masking.find_fitting(program, DOMAIN, answer if answer is not None else Fraction(1))
    if reason is None:
        return masking.require_unique(fitting, Fraction(value), len(DOMAIN))
    with pytest.raises(NotApplicable, match=reason):
        masking.require_unique(fitting, Fraction(value), len(DOMAIN))


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_x_put_into_a_bundled_program_gives_the_answer(seed):
    for parent in gradeschool.generate_problems("train", 3, seed, steps=(2, 5), max_value=60):
        state = parent.program.params
        for slot in masking._list_slots(state):
            masking._prove_gradeschool(state, slot, 60)
            try:
                masked = masking.mask("gradeschool", state, slot)
            except NotApplicable as error:
                assert "step by step" in str(error)  # two sentences at once would be needed
                continue
            assert masking.count_x(" ".join(masked.sentences)) == 1
            quantities = [dict(entry) for entry in state["quantities"]]
            quantities[slot]["number"] = int(masked.steps[-1].text.removeprefix("#### "))
            put_in = {**state, "quantities": quantities}
            assert str(gradeschool.solve_program(put_in)[-1].value) == masked.given == parent.answer
            for step in masked.steps:
                for annotation in step.text.split("<<")[1:]:
                    left, right = annotation.split(">>")[0].split("=")
                    assert evaluate(left) == Fraction(right)
            for step in masked.steps[:-1]:  # no step says the number before it is derived
                assert not step.text.startswith(f"We know {state['people'][slot]} has {masked.number}.") or (
                    slot == len(quantities) - 1
                )


def test_a_distractor_is_never_asked_for():
    state = gradeschool.generate_problems("train", 1, 5, steps=(3, 3), max_value=60)[0].program.params
    extra = {"relation": "given", "number": 23, "template": [1, 1]}
    quantities = [
        extra,
        *[{**e, **({"of": [i + 1 for i in e["of"]]} if "of" in e else {})} for e in state["quantities"]],
    ]
    planted = {**state, "people": ["Zed", *state["people"]], "quantities": quantities}
    with pytest.raises(NotApplicable, match="does not matter"):
        masking._prove_gradeschool(planted, 0, 60)
    for seed in range(20):
        assert masking.draw_slot("gradeschool", planted, random.Random(seed), 60).slot != 0


def test_the_answer_is_never_the_number_that_is_asked_for():
    for parent in gradeschool.generate_problems("train", 60, 2, steps=(2, 4), max_value=60):
        numbers = [parent.program.params["quantities"][i]["number"] for i in masking._list_slots(parent.program.params)]
        assert int(parent.answer) not in numbers


def test_the_question_of_every_method_is_rederived_from_its_program():
    for method in (fobar, self_verification):
        parent = gradeschool.generate_problems("train", 1, 3, steps=(3, 4), max_value=60)[0]
        (made,) = method.make_candidates([parent], None, make_context())
        assert masking.check(made.problem) == []
        assert masking.check(made.problem.model_copy(update={"answer": "1000"}))
        assert masking.check(made.problem.model_copy(update={"question": "What is x?"}))
        assert variation.compute_values(parent.program.params)[-1] == int(parent.answer)


def make_context(solver=None):
    from stages.problems.augmentation.candidate import Context

    return Context(1, "train", 60, None, None, solver, None)


WIRE = problem(
    "Mr. Lee has a roll of 1,000 feet of wire. He cuts off 8-foot pieces, 25 of them. How much wire is left?",
    ["He cuts 8*25=<<8*25=200>>200 feet.", "There are 1000-200=<<1000-200=800>>800 feet left.", "#### 800"],
)


def test_a_thousand_with_a_comma_is_one_number_and_a_number_before_a_hyphen_is_one_too():
    _, state = masking.load_state(WIRE)
    masks = {masking.mask("lifted", state, slot).number: slot for slot in (0, 1, 2)}
    assert set(masks) == {"1,000", "8", "25"}
    questions = {n: " ".join(masking.mask("lifted", state, slot).sentences) for n, slot in masks.items()}
    assert "a roll of x feet" in questions["1,000"] and "cuts off x-foot pieces" in questions["8"]
    assert all(masking.count_x(question) == 1 for question in questions.values())
    texts = {unknowns._mask_text(WIRE, Chooser(i)).sentences[i // 2] for i in range(3)}
    assert "Mr. Lee has a roll of x feet of wire." in texts


class Chooser:
    def __init__(self, place):
        self.place = place

    def choice(self, items):
        return items[self.place]


@pytest.mark.parametrize(
    "question, answer, statement",
    [
        ("How many pens does Ann have left?", "5", "Ann has 5 pens left."),
        ("If she buys 3, and then 5 more, how many pens does she have?", "8",
         "If she buys 3, and then 5 more, she has 8 pens."),
        ("At 2.50 p.m. on Jan. 3, how many cars are there in the lot?", "4",
         "At 2.50 p.m. on Jan. 3, there are 4 cars in the lot."),
        ("How much money did Tom spend on 1,500 apples?", "72", "Tom spent $72 on 1,500 apples."),
        ("How much did it cost Melissa for each ball?", "2", "It cost Melissa $2 for each ball."),
        ("How many slices of pizza are left?", "2", "2 slices of pizza are left."),
        ("How many eggs will the farmer sell?", "9", "The farmer will sell 9 eggs."),
        ("How many miles has Joe run so far?", "6", "Joe has run 6 miles so far."),
        ("How many players did Mona group with on the video game?", "33", None),  # 33 belongs behind `with`
        ("How many apples does the girl who sings have?", "3", None),
        ("How many dolls does Peggy now have?", "51", None),  # an adverb is no verb
        ("How many animals does the pet store owner have left?", "9", None),  # nor is the end of the subject
        ("How many times does she jump rope a day?", "3", None),  # the object comes behind
        ("How many minutes did she walk in total?", "30", "She walked 30 minutes in total."),
        ("How many minutes does it take her to walk home?", "9", "It takes her 9 minutes to walk home."),
        ("How many texts did Keiko send?", "4", "Keiko sent 4 texts."),
        ("How many people does she share the pizza with?", "3", None),
        ("How many pieces should he cut his lasagna into?", "6", None),
        ("How many days has Georgina had it?", "8", None),
        ("How many does he need to buy?", "3", None),
        ("What is her age?", "3", None),
        ("How old is he? How many pens does he have?", "3", None),
    ],
)  # fmt: skip
def test_a_question_becomes_a_statement_without_losing_a_clause(question, answer, statement):
    assert make_statement(question, answer) == statement


def test_a_calculation_in_a_line_that_mentions_x_is_not_lost():
    parent = problem(
        "Veronica needs 3 pounds of cherries. There are 80 cherries in one pound. It takes 10 minutes to pit 20 cherries. "
        "How many minutes does it take her to pit all the cherries?",
        [
            "She needs 80*3 = <<80*3=240>>240 cherries.",
            "It takes her 10 minutes to pit a unit of 20 cherries. She has 240/20 = <<240/20=12>>12 units.",
            "It takes her 10*12 = <<10*12=120>>120 minutes.",
            "#### 120",
        ],
    )
    state = lifting.lift(parent)
    slot = programs.list_numbers(state).index(Fraction(10))
    texts = [step.text for step in masking.mask("lifted", state, slot).steps]
    assert texts == [
        "She needs 80*3 = <<80*3=240>>240 cherries.",
        "240/20 = <<240/20=12>>12.",
        "Going back, x is 120/12 = <<120/12=10>>10.",
        "#### 10",
    ]


@pytest.mark.slow
@pytest.mark.skipif(not PUBLISHED, reason="ASSAY_BENCHMARKS is not set: no published GSM8K")
def test_x_put_into_a_published_problem_gives_its_answer():
    rows = Path(PUBLISHED, "gsm8k", "train.jsonl").read_text("utf-8").splitlines()
    kept = {"fobar": 0, "self_verification": 0}
    for number in range(0, len(rows), 60):
        row = json.loads(rows[number])
        parent = problem(row["question"], [line for line in row["answer"].split("\n") if line.strip()], number)
        for method in (fobar, self_verification):
            if not method.fits_parent(parent, None, make_context()):
                continue
            (made,) = method.make_candidates([parent], None, make_context())
            if hasattr(made, "reason"):
                continue
            kept[method.METHOD] += 1
            state, slot = made.problem.program.params["base"]["params"], made.problem.program.params["slot"]
            values = programs.list_numbers(state)
            values[slot] = Fraction(made.problem.answer)
            answer = programs.compute_results(state, values)[state["answer"]["step"]]
            assert answer == Fraction(parent.answer) and masking.count_x(made.problem.question) == 2
            assert masking.check(made.problem) == []
            assert made.masked.isalpha() or gsm8k_program.get_numbers(state)[slot] == Fraction(
                made.masked.replace(",", "")
            )
    assert kept["fobar"] >= 30 and kept["self_verification"] >= 15
