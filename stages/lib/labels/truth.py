"""The truth of every step: whether what a solution says, line by line, is so.

Procedural problems know the value of each of their quantities, so their step labels need neither people nor rollouts.
A line is right when everything it says is true, and a step when all lines up to it are (Lightman et al. 2023,
arXiv 2305.20050, label up to the first error). What counts as true:

We know A has 15.                          that is A's value
Then C has A + 2: A has 15, 15 + 2 = 17,   every recalled value is the true one, the equation is the one announced and
    so C has 17.                           holds, and its result is C's value
#### 17                                    that is the answer

The order of the lines is free, and leaving some out is no error: what is said is judged, not how it was found. A line
about a quantity that the problem does not tell of, or in no form at all (`Right.`, an equation that breaks off), says
nothing that is true: it is wrong. In the tiny world's 20,800 samples 1.3% of the lines are such, most of them
`Right.` where the solution should go on; 0.2% of the samples hold one and have the right answer all the same. A solution
with no readable line at all is another writer's (free prose); of that nothing is told.

Problems of other generators (dyval, competition) have steps of many forms. There a line that differs from the gold one
in its numbers alone is wrong, the gold line is right, and of any other nothing is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Any

from stages.lib.core.records import Problem
from stages.lib.grading import answers
from stages.lib.models.encoding import split_steps, strip_annotations
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
    """For each step of a solution, `split(text)`, whether everything up to and with it is right.

    None where that cannot be told: the problem was not made by a program or shows no steps, or the solution's lines
    have no form that can be compared. A line that was cut off is not right.
    """
    if not problem.program or not problem.steps:
        return None
    steps = [split_steps(step) for step in split(text)]  # lines, of which a step may have several
    lines = [strip_annotations(line).strip() for step in steps for line in step]
    gold = [strip_annotations(step.text).strip() for step in problem.steps]
    values = _compute_values(problem)
    said = _check_by_value(problem, gold, values, lines) if values else _check_by_form(problem, gold, lines)
    right, verdicts = True, []
    for verdict in said:
        right = right and verdict
        if right is None:
            return None
        verdicts.append(right)
    ends = accumulate(map(len, steps))
    return [verdicts[end - 1] for end in ends]


def find_first_error(right: Iterable[bool]) -> int | None:
    """The place of the first step that is not right; None where all are."""
    return next((step for step, so in enumerate(right) if not so), None)


def _compute_values(problem: Problem) -> dict[str, Fraction | None]:
    """quantity -> its true value: all that the gold lines conclude, and what a variant tells beside (None: unknown).

    An aside is a person more, who is compared with one of the story by an `entry` of the parent's program. Its value is
    computed where adding it is all that was changed; else names and numbers are no longer the parent's.
    """
    values: dict[str, Fraction | None] = {}
    for step in problem.steps or ():
        if (found := _CONCLUSION.match(step.text)) and (value := answers.parse_number(step.value)) is not None:
            values[found[1]] = value
    params = problem.program.params if problem.program else {}
    changes = [change for change in params.get("changes", ()) if {"person", "entry"} <= set(change)] if values else []
    for change in changes:
        people, entry = params["base"]["params"]["people"], change["entry"]
        sources = [values.get(people[i]) for i in entry.get("of", ())]
        known = len(params["changes"]) == 1 and None not in sources
        values[change["person"]] = _solve_distractor(entry, sources) if known else None
    return values


def _solve_distractor(entry: Mapping[str, Any], sources: Sequence[Any]) -> Fraction:
    quantities = [{"relation": "given", "number": int(value)} for value in sources]
    quantities.append({**entry, "of": list(range(len(sources)))} if sources else dict(entry))
    names = [f"person {i}" for i in range(len(quantities))]
    return Fraction(gradeschool.solve_program({"people": names, "quantities": quantities})[-1].value)


def _check_by_value(
    problem: Problem, gold: list[str], values: Mapping[str, Fraction | None], lines: list[str]
) -> list[bool | None]:
    if any(name in line for name, value in values.items() if value is None for line in lines):
        return [None]
    verdicts: list[bool | None] = []
    for line in lines:
        if line in gold:
            verdicts.append(True)
        else:
            verdicts.append(
                _check_answer(problem, line) if line.startswith(_ANSWER_MARK) else _check_line(values, line)
            )
    readable = [so is not None for so, line in zip(verdicts, lines, strict=True) if not line.startswith(_ANSWER_MARK)]
    if readable and not any(readable):
        return [None]
    return [bool(so) for so in verdicts]


def _check_answer(problem: Problem, line: str) -> bool:
    return answers.equal(problem.answer, answers.extract(line, problem.answer_type), problem.answer_type)


def _check_line(values: Mapping[str, Fraction | None], line: str) -> bool | None:
    """Whether all that the line says is true; None if it cannot be read."""
    if known := _GIVEN_LINE.fullmatch(line):
        return values.get(known[1]) == Fraction(known[2])
    if not (derived := _DERIVED_LINE.fullmatch(line)):
        return None
    name, first, sign, second, recalled, a, operation, b, result, concluded, value = derived.groups()
    clauses = [_RECALLED_VALUE.fullmatch(clause) for clause in recalled.split(", ")]
    if not all(clauses):
        return None
    known = {clause[1]: Fraction(clause[2]) for clause in clauses if clause}
    a, b, result, value = map(Fraction, (a, b, result, value))
    known_second = Fraction(second) if _DIGITS.fullmatch(second) else known.get(second)
    return (
        all(values.get(person) == amount for person, amount in known.items())
        and (known.get(first), sign, known_second) == (a, operation, b)
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
    for place, line in enumerate(lines):
        if line.startswith(_ANSWER_MARK):
            verdicts.append(_check_answer(problem, line))
        elif place < len(gold) and _DIGITS.sub("0", line) == _DIGITS.sub("0", gold[place]):
            verdicts.append(line == gold[place])
        else:
            verdicts.append(None)
    return verdicts
