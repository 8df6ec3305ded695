"""Lifting: programs behind gold solutions hold, leave nothing unbound, and write the original out again."""

import json
import os
import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.core.records import Problem, Source, Step
from stages.lib.procedural import lifting
from stages.lib.procedural.lifting import programs, quantities
from stages.problems.benchmarks import calculator
from tests.helpers.exact_arithmetic import evaluate

PUBLISHED = os.environ.get("ASSAY_BENCHMARKS")
real = pytest.mark.skipif(not PUBLISHED, reason="ASSAY_BENCHMARKS is not set: no published GSM8K to lift")

CAKES = (
    "Nora bakes 12 cakes a day for a week. She gives three cakes to each of 5 friends and sells the rest for $2.50 each. "
    "How much does she earn?",
    [
        "Nora bakes 12*7=<<12*7=84>>84 cakes.",
        "She gives away 3*5=<<3*5=15>>15 cakes.",
        "She sells 84-15=<<84-15=69>>69 cakes.",
        "She earns 69*2.5=$<<69*2.5=172.5>>172.50.",
        "#### 172.5",
    ],
)


def problem(question, lines, benchmark="gsm8k", number=0):
    steps = [Step(text=line, value=calculator.extract_value(line)) for line in lines[:-1]]
    answer = calculator.normalize_number(lines[-1].removeprefix("#### "))
    return Problem(
        id=f"{benchmark}/test/{number:04}",
        benchmark=benchmark,
        split="test",
        question=question,
        answer=answer,
        answer_type="number",
        steps=[*steps, Step(text=lines[-1], value=answer)],
        licence="MIT",
        source=Source(url="here"),
    )


def published(split, step):
    rows = Path(PUBLISHED, "gsm8k", f"{split}.jsonl").read_text("utf-8").splitlines()
    for number in range(0, len(rows), step):
        row = json.loads(rows[number])
        yield problem(row["question"], [line for line in row["answer"].split("\n") if line.strip()], number=number)


def test_a_solution_is_lifted_and_written_out_again():
    item = problem(*CAKES)
    program = json.loads(json.dumps(lifting.lift(item)))
    assert lifting.check_program(program) == []
    assert lifting.render_program(program) == (item.question, item.steps, item.answer)
    assert [number["value"] for number in program["numbers"]] == ["12", "3", "5", "5/2"]
    assert program["annotations"][0]["expression"][2]["is"] == {"constant": "days in a week"}


def test_other_numbers_flow_through_question_and_steps():
    program = lifting.lift(problem(*CAKES))
    question, steps, answer = lifting.render_program(program, [Fraction(20), Fraction(4), Fraction(6), Fraction(3, 2)])
    assert question.startswith("Nora bakes 20 cakes a day for a week. She gives four cakes to each of 6 friends")
    assert "for $1.50 each" in question and answer == "174" and steps[-1].text == "#### 174"
    assert steps[1].text == "She gives away 4*6=<<4*6=24>>24 cakes." and steps[1].value == "24"
    assert steps[0].text == "Nora bakes 20*7=<<20*7=140>>140 cakes."


@pytest.mark.parametrize(
    ("question", "lines", "reason"),
    [
        ("Tom has 3 pears. How many are 5 more?", ["3+6=<<3+6=9>>9", "#### 9"], "6 in <<3+6=9>> is neither"),
        ("Tom has 3 pears and 5 more.", ["3+5=<<3+5=9>>9", "#### 9"], "does not hold"),
        ("Tom has 3 pears and 5 more.", ["3+5=<<3+5=8>>8", "#### 9"], "the answer is the result of no annotation"),
        ("Tom has 3 pears and 5 more.", ["It is 8.", "#### 8"], "no annotation"),
        ("Tom has 3 pears and 4 more.", ["<<3/4=3/4>>", "#### 0.75"], "not a number"),
    ],
)
def test_unliftable_solutions_give_a_reason(question, lines, reason):
    with pytest.raises(lifting.Unliftable, match=re.escape(reason)):
        lifting.lift(problem(question, lines))


def test_spoilt_programs_are_detected():
    for spoil in (
        lambda p: p["annotations"][1].update(result="16"),
        lambda p: p["numbers"][0].update(value="13"),
        lambda p: p["annotations"][2]["expression"][0].update({"is": {"step": 3}}),
        lambda p: p["annotations"][3]["expression"][2].update({"is": {"number": 2}}),
        lambda p: p["answer"].update(step=0),
        lambda p: p["annotations"][0]["expression"].append("*"),
        lambda p: p["annotations"][0]["expression"][2].update({"is": {"constant": "days in a year"}}),
    ):
        program = json.loads(json.dumps(lifting.lift(problem(*CAKES))))
        spoil(program)
        assert lifting.check_program(program)


def test_an_ambiguous_number_keeps_all_its_readings():
    item = problem(
        "Ann has 3 bags with 3 pens in each and buys 8 pens. How many pens has she?",
        ["3*3=<<3*3=9>>9 pens", "9+8=<<9+8=17>>17", "#### 17"],
    )
    program = lifting.lift(item)
    assert programs.bindings_agree(program, [Fraction(3), Fraction(3), Fraction(5)])
    assert not programs.bindings_agree(program, [Fraction(5), Fraction(3), Fraction(8)])


SILENT = [  # what an operand may be instead: question, solution, numbers that tell the readings apart, and that do not
    (
        "Ann drives for 2 hours and then for 3 hours. She goes 5 miles an hour. How far does she go?",
        "5*5=<<5*5=25>>25",
        [2, 4, 5],
        [2, 4, 6],
    ),
    (
        "Ann picks 4 pears on each of the first 3 days, and 9 a day for the rest of the week. How many then?",
        "9*4=<<9*4=36>>36",
        [5, 3, 9],
        [4, 3, 8],
    ),
    ("Ann and 4 neighbors eat 5 pears each. How many do they eat?", "5*5=<<5*5=25>>25", [4, 6], [6, 7]),
    (
        "Ann has 2 bags of 8 pens and 16 cups. How many cups are on 16 tables with as many?",
        "16*16=<<16*16=256>>256",
        [2, 8, 18, 18],
        [2, 9, 18, 18],
    ),
]


@pytest.mark.parametrize(("question", "line", "apart", "alike"), SILENT)
def test_a_number_that_two_others_give_may_stand_for_them(question, line, apart, alike):
    program = lifting.lift(problem(question, [line, "#### " + line.rpartition(">>")[2]]))
    assert not programs.bindings_agree(program, [Fraction(n) for n in apart])
    assert programs.bindings_agree(program, [Fraction(n) for n in alike])
    assert programs.find_ambiguous(program)


@pytest.mark.parametrize(
    ("question", "line", "constant"),
    [
        ("Ann bakes 9 pies a day. How many in a week?", "9*7=<<9*7=63>>63", "days in a week"),
        ("A car goes 150 miles in all. What is its average speed in hours?", "150/3=<<150/3=50>>50", None),
        ("Ann has 9 ounces of tea. How many has Ben?", "9+16=<<9+16=25>>25 ounces", None),
        ("Ann has 9 pounds of tea. How many ounces are these?", "9*16=<<9*16=144>>144", "ounces in a pound"),
        ("A truck costs 9 dollars, its load of tons more. And now?", "9+2000=<<9+2000=2009>>2009", None),
        (
            "Ann bakes 9 pies, of which her three neighbors eat. A week is over, and a day. And?",
            "9*7=<<9*7=63>>63",
            None,
        ),
        ("Ann's right foot taps 9 times a minute. How often?", "9*3=<<9*3=27>>27", None),
    ],
)
def test_a_constant_needs_its_units(question, line, constant):
    item = problem(question, [line, "#### " + re.search(r">>(\d+)", line)[1]])
    if constant is None:
        with pytest.raises(lifting.Unliftable, match="neither"):
            lifting.lift(item)
    else:
        assert lifting.lift(item)["annotations"][0]["expression"][2]["is"] == {"constant": constant}


@given(st.recursive(st.integers(0, 99).map(str), lambda e: st.builds("({}{}{})".format, e, st.sampled_from("+-*/"), e)))
def test_expressions_are_exact(expression):
    try:
        expected = evaluate(expression)
    except ZeroDivisionError:
        with pytest.raises(ValueError):
            calculator.evaluate(expression)
    else:
        assert calculator.evaluate(expression) == expected


@given(st.integers(-(10**9), 10**9), st.integers(0, 6))
def test_decimals_are_written_exactly(digits, places):
    value = Fraction(digits, 10**places)
    assert Fraction(programs.format_decimal(value)) == value
    assert calculator.normalize_number(programs.format_decimal(value)) == programs.format_decimal(value)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("She has 1,250 of 2.5", ["1250", "5/2"]),
        ("twenty-five of twelve", ["25", "12"]),
        ("3/4 of 20", ["3", "4", "20", "3/4"]),
        ("half of them", ["2", "1/2"]),
        ("two and a half", ["2", "2", "1/2", "5/2"]),
        ("an hour and a half", ["2", "1/2", "3/2"]),
    ],
)
def test_quantities_are_read(text, values):
    numbers = [str(quantity.value) for quantity in quantities.find_quantities(text)]
    assert set(values) <= set(numbers), numbers


@pytest.mark.parametrize("text", ["at 3:00", "the 2nd", "in 1998", "on day 2", "7 p.m. "])
def test_labels_are_fixed_numbers(text):
    assert {quantity.kind for quantity in quantities.find_quantities(text)} == {"fixed"}


@real
def test_real_problems_lift_and_come_back_byte_for_byte():
    tried = lifted = 0
    for item in [*published("test", 6), *published("train", 60)]:
        tried += 1
        try:
            program = lifting.lift(item)
        except lifting.Unliftable:
            continue
        lifted += 1
        assert lifting.render_program(program) == (item.question, item.steps, item.answer)
    assert lifted / tried >= 0.7, (lifted, tried)
