"""The equations of a solution, and what speaks against one."""

import json
import os
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.lib.core.expressions import strip_annotations
from stages.lib.grading import answers
from stages.problems.augmentation import equations


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("She has 16 + 7 = 23 eggs.", ["16 + 7"]),
        ("16 + 7 = <<16+7=23>>23 eggs, then 23 * 2 = <<23*2=46>>46", ["16 + 7", "23 * 2"]),
        ("$5/hour x 2 hours = $10", ["5 * 2"]),
        (r"$5 \times 2 = 10$ and \frac{1}{2} * 10 = 5", ["5 * 2", "( 1 / 2 ) * 10"]),
        ("1,000 × 3 = 3,000", ["1000 * 3"]),
        ("20% * 50 = 10", ["( 20 / 100 ) * 50"]),
        ("3 + 4 = 7 = 14 / 2", ["3 + 4"]),
        ("2. 3 + 4 = 7", ["3 + 4"]),
        ("- 3 + 4 = 7", ["3 + 4"]),
        ("2 trains * 80 miles/train = 160 miles", ["2 * 80"]),
        ("90 pieces of straw / 3 cages = 30", ["90 / 3"]),
        ("3 1/2 - 2 = 1 1/2 hours", ["( 3 + 1 / 2 ) - 2"]),
        ("12/20 x 100 = 60%", ["12 / 20 * 100"]),
        ("1/2 (68) + 10 = 44", []),  # a product without its sign is not read
        ("1.50 + 2 = 3.5", ["3/2 + 2"]),
        ("x - 3 = 5, so x = 8", []),
        ("3x = 12 and x = 12/3 = 4", ["12 / 3"]),
        ("Tim has Una / 2: Una has 18, 18 / 2 = 9, so Tim has 9.", ["18 / 2"]),
        ("The answer is 7.", []),
        ("On 3/4 he ran. 5 = 5", []),
        ("= = 3 = + * 4 (", []),
    ],
)
def test_equations_are_read(text, expected):
    found = equations.find_equations(text)
    assert [" ".join(equation.left) for equation in found] == expected
    assert all(equation.holds for equation in found)


def test_an_annotation_and_the_written_equation_are_the_same():
    written, annotated = (equations.find_equations(text) for text in ("48 / 2 = 24", "48/2 = <<48/2=24.0>>24"))
    assert written == annotated


@pytest.mark.parametrize(
    ("text", "holds"), [("3 + 4 = 8", False), ("10 / 3 = 3.33", True), ("10 / 3 = 3.3", True), ("10 / 3 = 3", False)]
)
def test_an_equation_holds_up_to_the_digits_it_is_written_with(text, holds):
    assert [equation.holds for equation in equations.find_equations(text)] == [holds]


@given(st.integers(0, 999), st.integers(1, 999), st.sampled_from("+-*"), st.integers(-2, 2))
def test_an_equation_of_integers_holds_exactly_if_it_is_true(a, b, sign, error):
    value = {"+": a + b, "-": a - b, "*": a * b}[sign]
    (equation,) = equations.find_equations(f"We compute {a} {sign} {b} = {value + error} of them")
    assert equation.holds == (error == 0)


@given(st.text(max_size=80))
def test_no_text_is_too_strange(text):
    equations.find_equations(text)
    equations.find_equations(f"3 + {text} = {text}")


QUESTION = "Ann has 5 apples and gets 3 more. How many has she?"


@pytest.mark.parametrize(
    ("solution", "answer", "reason"),
    [
        ("5 + 3 = 8\n#### 8", 8, None),
        ("5 + 3 = 9\n#### 9", 9, "an equation does not hold"),
        ("She has eight.\n#### 8", 8, "no equation leads to the answer"),
        ("5 + 3 = 8\n#### 9", 9, "no equation leads to the answer"),
        ("20 + 22 = 42\n#### 42", 42, "no equation uses a number of the question"),
    ],
)
def test_a_solution_has_to_calculate_its_answer_from_the_question(solution, answer, reason):
    assert equations.explain_unsound(QUESTION, solution, Fraction(answer)) == reason


@pytest.mark.skipif(
    "ASSAY_BENCHMARKS" not in os.environ, reason="ASSAY_BENCHMARKS is not set; it names published files"
)
def test_gold_solutions_of_gsm8k():
    path = Path(os.environ["ASSAY_BENCHMARKS"]) / "gsm8k" / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()][:400]
    assert all(equation.holds for row in rows for equation in equations.find_equations(row["answer"])), "annotations"
    texts = [strip_annotations(row["answer"]) for row in rows]
    golds = [answers.parse_number(text.rpartition("####")[2].strip()) for text in texts]
    columns = zip(rows, texts, golds, strict=True)
    reasons = [equations.explain_unsound(row["question"], text, gold) for row, text, gold in columns]
    assert sum(reason is None for reason in reasons) >= 0.9 * len(rows)
    assert reasons.count("an equation does not hold") <= 0.02 * len(rows)
