"""Pretraining text of the tiny base model: problems solved with modelled mistakes, and solutions being checked.

Seven kinds of documents, each a prompt and a continuation:

solution  a worked solution. Its writer reverses inconsistent comparisons ("Bob has 7 fewer than Cal", Cal unknown) at the
          rates of `MISREAD_RATES`, as people do (Lewis & Mayer, J. Educ. Psychol. 79, 1987). A model of such text errs
          systematically, so its most frequent answer can be wrong.
graded    a solution with `Right.` or `Wrong.` after every line (wrong from the first mistake on)
verdict   a solution, then `Verification: Is the answer correct (Yes/No)?` and `Yes` or `No`
verified  a solution, then `Verification: Let's verify step by step.`, each line derived again, the conclusion of the
          solution's quoted and compared, the verdict
drill     bare equations, to be worked out or marked
book      values, truth values and links to keep book of (`exercises.py`)
fact      a fact about numbers, in numbered lines (`exercises.py`)

The problems are told in broad words (`breadth.py`), some are reversed, and some cannot be answered (N/A, with the reason).
Checked solutions contain misreadings, slips, wrong look-ups and missing ends (`inject_errors`), consistent downstream;
verdicts are always correct. In checked solutions wrong lines have weight 0 in the loss, so the model learns to judge
mistakes and not to make them, and so have lines that are often misread, or it would misread less. The one token of a
verdict weighs as much as several others, or it would be lost among the hundred of a solution. Templates, stories and
problems are those of the split `pretraining` (gradeschool/wording.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, NamedTuple

from stages.generators.base import breadth, exercises
from stages.lib.core import seeds
from stages.lib.core.expressions import strip_annotations
from stages.lib.core.records import ABSTAIN_INSTRUCTION
from stages.lib.procedural import gradeschool
from stages.lib.procedural.gradeschool import Fault, Knobs, variation
from stages.lib.procedural.states import NotApplicable, State
from stages.lib.verifiers import verdicts
from stages.lib.verifiers.verdicts import (
    COT_PROMPT,
    DERIVED_VERDICT_WEIGHT,
    DIRECT_VERDICT_WEIGHT,
    VERDICT_QUESTION,
    Segment,
    format_verdict,
    mark_step,
)

MISREAD_RATES = {  # relation -> rate by wording
    "inverse more": (0.20, 0.60, 0.15, 0.55),
    "inverse fewer": (0.60, 0.20, 0.55, 0.15),
    "inverse times": (0.15, 0.55, 0.60, 0.20),
    "inverse part": (0.55, 0.15, 0.20, 0.60),
}
REVERSED_RATE, OPEN_RATE = 0.08, 0.08  # of the documents `solution`
ABSTENTION_RATE = 0.1  # of the other documents with a story: their question allows N/A
FALLIBLE_RATE = 0.3  # of the documents `verified`: the one who verifies makes a slip
ARITHMETIC_PROMPT = "how much is each?"  # the prompt of bare equations
KIND_SHARES = {
    "solution": 0.30,
    "graded": 0.19,
    "verdict": 0.06,
    "verified": 0.11,
    "drill": 0.26,
    "book": 0.05,
    "fact": 0.03,
}
MAX_VALUES = (60, 60, 100, 100, 200)  # bounds on the values of a document; the problems have 60


class Document(NamedTuple):
    """A training text: its kind, the prompt, and the continuation as (text, loss weight) segments."""

    kind: str
    question: str
    segments: list[Segment]


def generate_document(item: str, seed: int) -> Document:
    """The document with id `item`."""
    rng = seeds.rng(seed, "base", gradeschool.VERSION, item, "document")
    kind = rng.choices(tuple(KIND_SHARES), tuple(KIND_SHARES.values()))[0]
    max_value = rng.choice(MAX_VALUES)
    if kind == "drill":
        return Document(kind, ARITHMETIC_PROMPT, list(generate_drill(rng, max_value)))
    if kind in ("book", "fact"):
        exercise = exercises.generate_bookkeeping if kind == "book" else exercises.generate_number_fact
        question, lines = exercise(rng)
        return Document(kind, question, [(f"{line}\n", 1) for line in lines])
    knobs = Knobs(steps=(1, rng.choice((4, 5, 5, 7))), max_value=max_value, inverse_share=0.3)
    program = gradeschool.sample_program("pretraining", item, seed, knobs)
    changes = breadth.draw_changes(rng)
    state = breadth.vary_program(program, rng, changes)
    if kind == "solution" and (changed := change_question(state, rng)):
        steps = variation.solve(changed)[0]
        lines = [(f"{strip_annotations(step.text)}\n", 1) for step in steps]
        is_open = lines[-1][0] == "#### N/A\n"
        question = breadth.render_question(changed, rng, changes)
        return Document(kind, allow_abstention(question, rng, 0.7 if is_open else 0.3), lines)
    faults = draw_misreadings(program, rng) if kind == "solution" else inject_errors(program, rng)
    question, program = breadth.render_question(state, rng, changes), program | {"people": state["people"]}
    question = allow_abstention(question, rng, ABSTENTION_RATE)
    lines, refaults = gradeschool.solve_program(program, faults), {}
    if kind == "verified" and rng.random() < FALLIBLE_RATE:
        refaults = {rng.randrange(len(program["quantities"])): Fault("slip", draw_slip(rng))}
    return Document(kind, question, list(write_solution(kind, program, lines, refaults)))


def allow_abstention(question: str, rng: Random, rate: float) -> str:
    """At this rate the question says that N/A is an answer: as the prompt does (records.py), or in other words."""
    if rng.random() >= rate:
        return question
    if rng.random() < 0.6:
        return f"{question}\n{ABSTAIN_INSTRUCTION}"
    return f"{question} {rng.choice(('Say N/A if you can not know.', 'N/A means that nobody can tell.'))}"


def change_question(state: State, rng: Random) -> State | None:
    """At `REVERSED_RATE` the problem reversed, at `OPEN_RATE` without a premise, else None."""
    draw = rng.random()
    try:
        if draw < REVERSED_RATE:
            return breadth.reverse(state, rng)
        if draw < REVERSED_RATE + OPEN_RATE:
            return breadth.remove_premise(state, rng)
    except NotApplicable:
        pass
    return None


def write_solution(
    kind: str,
    program: Mapping[str, Any],
    lines: list[gradeschool.Line],
    rederivation_faults: Mapping[int, Fault] | None = None,
) -> Iterator[Segment]:
    """The continuation of a document about a solution. rederivation_faults: mistakes of the one who verifies it."""
    relations = [entry["relation"] for entry in program["quantities"]]
    for line, relation in zip(lines, [*relations, ""], strict=False):
        is_learnt = kind == "solution" or (line.is_correct and relation not in MISREAD_RATES)
        yield strip_annotations(line.text) + "\n", int(is_learnt)
        if kind == "graded":
            yield from mark_step(line.is_correct, DIRECT_VERDICT_WEIGHT)
    verdict = format_verdict(lines[-1].is_correct)
    if kind == "verdict":
        yield from ((VERDICT_QUESTION, 0), (verdict, DIRECT_VERDICT_WEIGHT))
    elif kind == "verified":
        yield COT_PROMPT, 0
        segments, is_right = write_rationale(program, lines, rederivation_faults)
        yield from segments
        yield VERDICT_QUESTION, 1
        yield verdict, DERIVED_VERDICT_WEIGHT if is_right else 0


def write_rationale(
    program: Mapping[str, Any], lines: list[gradeschool.Line], faults: Mapping[int, Fault] | None = None
) -> tuple[list[Segment], bool]:
    """Every line derived again from the program and its conclusion compared, up to the first that differs; and whether
    what is derived is right. faults: mistakes of the one who derives. The loss leaves out the wrong lines and keeps the
    comparison."""
    segments: list[Segment] = []
    is_right = True
    for derived, line in zip(gradeschool.solve_program(program, faults), lines, strict=False):
        own, theirs = strip_annotations(derived.text), strip_annotations(line.text)
        is_same, is_right = verdicts.conclude(own) == verdicts.conclude(theirs), derived.is_correct
        segments.append((own, 1 if is_right else 0))
        segments += verdicts.compare_step(theirs, is_same, DERIVED_VERDICT_WEIGHT)
        if not is_same:
            break
    return segments, is_right


def draw_misreadings(program: Mapping[str, Any], rng: Random, scale: float = 1.0) -> dict[int, Fault]:
    """Reversed comparisons: quantity index -> fault, at `scale` times the rates of `MISREAD_RATES`."""
    return {
        i: Fault("reverse")
        for i, entry in enumerate(program["quantities"])
        if rng.random() < scale * MISREAD_RATES.get(entry["relation"], (0, 0, 0, 0))[entry["template"][0]]
    }


def inject_errors(program: Mapping[str, Any], rng: Random) -> dict[int, Fault]:
    """Mistakes for a solution to be checked; about half of the solutions stay correct."""
    faults = draw_misreadings(program, rng, scale=0.5)
    quantities = program["quantities"]
    if rng.random() < 0.45:
        i = rng.randrange(len(quantities))
        kind = rng.choices(("slip", "operand", "number", "stop", "reverse"), (0.55, 0.13, 0.12, 0.1, 0.1))[0]
        if kind == "slip":
            amount = draw_slip(rng)
        elif kind == "number":
            amount = rng.choice((-1, 1)) * rng.choice((1, 2, 10, 20))
        else:
            amount = rng.randrange(len(quantities))
        faults[i] = Fault(kind, amount)
    return faults


def draw_slip(rng: Random) -> int:
    """The error of a miscalculated result: mostly small, in one digit."""
    return rng.choice((-1, 1)) * rng.choice((1, 1, 1, 2, 2, 3, 4, 5, 6, 8, 9, 10, 10, 10, 11, 20, 30))


def generate_drill(rng: Random, max_value: int, n_lines: int = 12) -> Iterator[Segment]:
    """Bare equations to work out; in a third of the drills, equations to mark, half of them wrong."""
    is_marked = rng.random() < 0.33
    for _ in range(n_lines):
        a, operation, b, result = draw_equation(rng, max_value)
        if not is_marked:
            yield from ((f"Then {a} {operation} {b} =", 0), (f" {result}.\n", 1))
            continue
        value = result if rng.random() < 0.5 else max(0, result + draw_slip(rng))
        yield f"Then {a} {operation} {b} = {value}.\n", 0
        yield from mark_step(value == result, DIRECT_VERDICT_WEIGHT)


def draw_equation(rng: Random, max_value: int) -> tuple[int, str, int, int]:
    """(a, operation, b, result), all integers of at most `max_value`."""
    operation = rng.choice("++----**///")
    if operation in "+-":
        b, total = sorted((rng.randint(1, max_value), rng.randint(1, max_value)))
        if operation == "-":
            return total, "-", b, total - b
        a, b = rng.choice(((total - b, b), (b, total - b)))
        return a, "+", b, total
    b = rng.randint(2, 9)
    a = rng.randint(2, max(2, max_value // b))
    return (a, "*", b, a * b) if operation == "*" else (a * b, "/", b, a)
