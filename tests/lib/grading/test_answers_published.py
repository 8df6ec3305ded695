"""Answers as published graders judged them: Cobbe et al., Qwen-Math, and Math-Verify's own cases."""

import json
import os
from pathlib import Path

import pytest

from stages.lib.grading.answers import equal_many

PUBLISHED = os.environ.get("ASSAY_BENCHMARKS")
real = pytest.mark.skipif(not PUBLISHED, reason="ASSAY_BENCHMARKS is not set: no published samples to compare with")


def rows(path: str) -> list[dict]:
    return [json.loads(line) for line in Path(PUBLISHED, path).read_text("utf-8").splitlines()]


ACCURACY = {"6b_finetuning": 21.68, "6b_verification": 39.04, "175b_finetuning": 34.72, "175b_verification": 56.25}


@real
def test_every_label_of_the_example_solutions_of_cobbe_et_al():
    published = rows("samples/gsm8k_example_model_solutions.jsonl")
    for model, accuracy in ACCURACY.items():
        verdicts = equal_many([(row["ground_truth"], row[model]["solution"]) for row in published], "number")
        assert verdicts == [row[model]["is_correct"] for row in published]
        assert round(100 * sum(verdicts) / len(verdicts), 2) == accuracy


@real
def test_predictions_and_labels_of_qwen_math():
    published = rows("samples/qwen_math_cot_100x8.jsonl")
    solutions = [(row, i, text) for row in published for i, text in enumerate(row["code"])]
    assert len(solutions) == 800
    assert all(equal_many([(row["pred"][i], text) for row, i, text in solutions], "latex"))
    verdicts = equal_many([(row["gt"], text) for row, _, text in solutions], "latex")
    differ = {
        (row["gt"], row["pred"][i])
        for (row, i, _), same in zip(solutions, verdicts, strict=True)
        if same != row["score"][i]
    }
    assert differ == {("10{,}000", "10000")}  # the published label is wrong: its grader did not read 10{,}000


DISAGREEMENTS = {
    ("$9$", "Answer $ \n 9 \n $"): "expects that `$` does not span lines; a line break does not change an answer",
    ("$9$", "Answer \\( \n 9 \n \\)"): "the same for `\\(`",
    (
        r"$\\boxed{35 cm} ++++++ \\boxed{4}$",
        "${35 cm,4}$",
    ): "boxes joined by `++++++`; here boxes are a list after a comma, and, or",
    (
        r"\\boxed{W(n) = 1 \\text{ and } W(n) = -1",
        "W(x)=1orW(x)=-1",
    ): "a box that is not closed, and two names of a variable: W(n) is not W(x)",
}


@real
@pytest.mark.parametrize("typed", [True, False])
def test_the_cases_of_math_verify_that_only_name_match_types(typed):
    cases = [row for row in rows("grader_cases/math_verify_cases.jsonl") if len(row["call_options"]) == 1]
    assert len(cases) == 231
    differ = set()
    for kind in ("expr']", "latex']", "latex', 'expr']"):
        selected = [row for row in cases if row["call_options"][0] == f"match_types=['{kind}"]
        answer_type = None if not typed else "number" if kind == "expr']" else "latex"
        for ordered in (
            [(row["gold"], row["pred"]) for row in selected],
            [(row["pred"], row["gold"]) for row in selected],
        ):
            verdicts = equal_many(ordered, answer_type)
            differ |= {
                (row["gold"], row["pred"])
                for row, same in zip(selected, verdicts, strict=True)
                if same != bool(row["expected"])
            }
    assert differ == set(DISAGREEMENTS)
    assert len(differ) <= 0.03 * len(cases)
