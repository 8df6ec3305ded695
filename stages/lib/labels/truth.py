"""Exact step labels: whether each step of a solution is right, for problems whose quantities a program knows.

Such labels need neither people nor rollouts. A line is right when all its claims are true, and a step when all lines up
to and including it are (Lightman et al. 2023, arXiv 2305.20050, label up to the first error). What counts as true:

We know A has 15.                          15 is A's value
Then C has A + 2: A has 15, 15 + 2 = 17,   the recalled values are true, the equation is the announced one and holds,
    so C has 17.                           and its result is C's value
#### 17                                    17 is the answer

Lines may come in any order, and missing lines are no error: claims are judged, not how they were found. A line about an
unknown quantity, or in another form (`Right.`, an unfinished equation), claims nothing that is true: it is wrong.
In the tiny world's 20,800 samples 1.3% of the lines are such, most of them `Right.` where the solution should go on; 0.2%
of the samples contain one and still have the right answer. A solution without any line in these forms is free text: its
labels are unknown (None).

Problems of other generators (dyval, competition) have steps of many forms. There the gold line is right, a line that
differs from it only in its numbers is wrong, and the label of any other line is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Any

from stages.lib.core.expressions import strip_annotations
from stages.lib.core.records import Problem
from stages.lib.grading import answers
from stages.lib.models.encoding import split_steps
from stages.lib.procedural import gradeschool

_NAME, _NUMBER = r"[^:,=]{1,60}?", r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?"
_GIVEN_LINE = re.compile(rf"We know ({_NAME}) has ({_NUMBER})\.")
_DERIVED_LINE = re.compile(
    rf"Then ({_NAME}) has ({_NAME}) ([-+*/]) ({_NAME}): ([^=]{{1,200}}?), "
    rf"({_NUMBER}) ([-+*/]) ({_NUMBER}) = ({_NUMBER}), so ({_NAME}) has ({_NUMBER})\."
)
_CONCLUSION = re.compile(rf"(?:We know|Then) ({_NAME}) has ")
_RECALLED_VALUE = re.compile(rf"({_NAME}) has ({_NUMBER})")
_ANSWER_MARK = "####"
_DIGITS = re.compile(_NUMBER)


def label_steps(problem: Problem, text: str, split: Callable[[str], Sequence[str]] = split_steps) -> list[bool] | None:
    """For each step of `split(text)`, whether all lines up to and including it are right.

    None where that is unknown: the problem was not made by a program or has no gold steps, or the lines have other forms
    than those above. A line that was cut off is wrong.
    """
    if not problem.program or not problem.steps:
        return None
    steps = [split_steps(step) for step in split(text)]  # lines, of which a step may have several
    lines = [strip_annotations(line).strip() for step in steps for line in step]
    gold = [strip_annotations(step.text).strip() for step in problem.steps]
    values = _compute_values(problem)
    verdicts = _check_by_value(problem, gold, values, lines) if values else _check_by_form(problem, gold, lines)
    prefix_is_right = list(accumulate(verdicts, lambda before, verdict: before and verdict))
    if None in prefix_is_right:
        return None
    return [bool(prefix_is_right[end - 1]) for end in accumulate(map(len, steps))]


def _compute_values(problem: Problem) -> dict[str, Fraction | None]:
    """quantity -> its true value: the conclusions of the gold lines, and the distractors of a variant (None: unknown).

    A distractor is an additional person who is compared with one of the story by an `entry` of the parent's program. Its
    value is computed only if adding it is the only change; else names and numbers are no longer the parent's.
    """
    values: dict[str, Fraction | None] = {}
    for step in problem.steps or ():
        if (match := _CONCLUSION.match(step.text)) and (value := answers.parse_number(step.value)) is not None:
            values[match[1]] = value
    params = problem.program.params if problem.program else {}
    changes = [change for change in params.get("changes", ()) if change["operator"] == "irrelevant"] if values else []
    for aside in (aside for change in changes for aside in change.get("asides", ())):
        people, entry = params["base"]["params"]["people"], aside["entry"]
        sources = [values.get(people[i]) for i in entry.get("of", ())]
        is_known = len(params["changes"]) == 1 and None not in sources
        values[aside["person"]] = _solve_distractor(entry, sources) if is_known else None
    return values


def _solve_distractor(entry: Mapping[str, Any], sources: Sequence[Any]) -> Fraction:
    """The value of a program's entry, from the values of the quantities that it refers to."""
    quantities = [{"relation": "given", "number": int(value)} for value in sources]
    quantities.append({**entry, "of": list(range(len(sources)))} if sources else dict(entry))
    names = [f"person {i}" for i in range(len(quantities))]
    return Fraction(gradeschool.solve_program({"people": names, "quantities": quantities})[-1].value)


def _check_by_value(
    problem: Problem, gold: list[str], values: Mapping[str, Fraction | None], lines: list[str]
) -> list[bool | None]:
    if any(name in line for name, value in values.items() if value is None for line in lines):
        return [None]

    def check(line: str) -> bool | None:
        if line in gold:
            return True
        return _check_answer(problem, line) if line.startswith(_ANSWER_MARK) else _check_line(values, line)

    verdicts = [check(line) for line in lines]
    claims = [verdict for verdict, line in zip(verdicts, lines, strict=True) if not line.startswith(_ANSWER_MARK)]
    if claims and all(verdict is None for verdict in claims):
        return [None]
    return [bool(verdict) for verdict in verdicts]


def _check_answer(problem: Problem, line: str) -> bool:
    return answers.equal(problem.answer, answers.extract(line, problem.answer_type), problem.answer_type)


def _check_line(values: Mapping[str, Fraction | None], line: str) -> bool | None:
    """Whether all claims of the line are true; None if it has another form."""
    if given := _GIVEN_LINE.fullmatch(line):
        return values.get(given[1]) == Fraction(given[2])
    if not (derived := _DERIVED_LINE.fullmatch(line)):
        return None
    name, first, sign, second, recalled, a, operation, b, result, concluded, value = derived.groups()
    clauses = [_RECALLED_VALUE.fullmatch(clause) for clause in recalled.split(", ")]
    if not all(clauses):
        return None
    recalls = {clause[1]: Fraction(clause[2]) for clause in clauses if clause}
    a, b, result, value = map(Fraction, (a, b, result, value))
    second_value = Fraction(second) if _DIGITS.fullmatch(second) else recalls.get(second)
    return (
        all(values.get(person) == amount for person, amount in recalls.items())
        and (recalls.get(first), sign, second_value) == (a, operation, b)
        and _apply(operation, a, b) == result == value
        and name == concluded
        and values.get(name) == value
    )


def _apply(operation: str, a: Fraction, b: Fraction) -> Fraction | None:
    if operation == "/":
        return a / b if b else None
    return {"+": a + b, "-": a - b, "*": a * b}[operation]


def _check_by_form(problem: Problem, gold: list[str], lines: list[str]) -> list[bool | None]:
    verdicts: list[bool | None] = []
    for i, line in enumerate(lines):
        if line.startswith(_ANSWER_MARK):
            verdicts.append(_check_answer(problem, line))
        elif i < len(gold) and _DIGITS.sub("0", line) == _DIGITS.sub("0", gold[i]):
            verdicts.append(line == gold[i])
        else:
            verdicts.append(None)
    return verdicts
