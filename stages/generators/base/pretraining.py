"""Pretraining text of the tiny base model: solved problems by fallible writers, and work being checked.

Five kinds of documents, each a prompt and a continuation, as the web holds them in the large:

solution  a worked solution. Its writer reverses inconsistent comparisons ("Bob has 7 fewer than Cal", Cal unknown) at
          the rates of `MISREAD_RATES`: people do (Lewis & Mayer, J. Educ. Psychol. 79, 1987), and web text carries it.
          A model of such text errs systematically, so that its most frequent answer can be the wrong one.
graded    a solution with `Right.` or `Wrong.` after every line (wrong from the first mistake on)
verdict   a solution, then `Verification: Is the answer correct (Yes/No)? Yes` or `No`
verified  a solution, then `Verification: Let's verify step by step.`, each line derived again and marked, the verdict
drill     bare equations, to be worked out or marked

The checked solutions carry misreadings, slips, wrong look-ups and missing ends (`inject_errors`), consistent downstream.
Checks are always right. No loss falls on the checked solution, so the model learns to judge mistakes, not to make them;
the one token of a judgement weighs as much as a few others, or it would drown among the hundred of a solution.
Templates, stories and problems are those of the split `pretraining` alone (gradeschool/wording.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from stages.lib.core import seeds
from stages.lib.models.encoding import strip_annotations
from stages.lib.procedural import gradeschool
from stages.lib.procedural.gradeschool import Fault, Knobs, wording
from stages.lib.procedural.gradeschool.program import render_question
from stages.lib.verifiers.verdicts import (
    COT_PROMPT,
    DERIVED_VERDICT_WEIGHT,
    DIRECT_VERDICT_WEIGHT,
    VERDICT_QUESTION,
    Segment,
    format_verdict,
    mark_step,
)

MISREAD_RATES = {  # by wording
    "inverse more": (0.20, 0.60, 0.15, 0.55),
    "inverse fewer": (0.60, 0.20, 0.55, 0.15),
    "inverse times": (0.15, 0.55, 0.60, 0.20),
    "inverse part": (0.55, 0.15, 0.20, 0.60),
}
UNSEEN_ENTITY_RATE = (
    0.2  # share of the documents told of other people, or of other things, than any benchmark problem is
)
_PEOPLE = """teacher mother sister friend student class team school store family group town shop parents children people
other others first second third last"""
UNSEEN_PEOPLE = tuple(f"the {word}" for word in _PEOPLE.split())
_THINGS = "games trees items pieces things plans miles years days hours minutes rooms rows pounds dollars cents weeks"
UNSEEN_THINGS = tuple(_THINGS.split())
ARITHMETIC_PROMPT = "how much is each?"  # the prompt of bare equations
KIND_SHARES = {"solution": 0.24, "graded": 0.24, "verdict": 0.06, "verified": 0.12, "drill": 0.34}


class Document(NamedTuple):
    """A kind, the question, and the continuation."""

    kind: str
    question: str
    segments: list[Segment]


def generate_document(item: str, seed: int) -> Document:
    """The document with id `item`."""
    rng = seeds.rng(seed, "base", gradeschool.VERSION, item, "document")
    kind = rng.choices(tuple(KIND_SHARES), tuple(KIND_SHARES.values()))[0]
    knobs = Knobs(steps=(1, 5), max_value=rng.choice((50, 100, 100)), inverse_share=0.3)
    if kind == "drill":
        return Document(kind, ARITHMETIC_PROMPT, list(generate_drill(rng, knobs.max_value)))
    program = gradeschool.sample_program("pretraining", item, seed, knobs)
    if rng.random() < UNSEEN_ENTITY_RATE:
        program["people"] = rng.sample(UNSEEN_PEOPLE, len(program["people"]))
    told = render_question(program)
    if rng.random() < UNSEEN_ENTITY_RATE:
        told = re.sub(rf"\b{wording.UNITS[program['story'][1]]}\b", rng.choice(UNSEEN_THINGS), told)
    if kind == "solution":
        lines = gradeschool.solve_program(program, draw_misreadings(program, rng))
        return Document(kind, told, [(strip_annotations(line.text) + "\n", 1) for line in lines])
    lines = gradeschool.solve_program(program, inject_errors(program, rng))
    if kind == "graded":
        segments = [
            part
            for line in lines
            for part in ((strip_annotations(line.text) + "\n", 0), *mark_step(line.is_correct, DIRECT_VERDICT_WEIGHT))
        ]
        return Document(kind, told, segments)
    segments = [(strip_annotations(line.text) + "\n", 0) for line in lines]
    if kind == "verdict":
        segments += [(VERDICT_QUESTION, 0), (format_verdict(lines[-1].is_correct), DIRECT_VERDICT_WEIGHT)]
    else:
        segments += [
            (COT_PROMPT, 0),
            *write_rationale(program, lines),
            (VERDICT_QUESTION, 1),
            (format_verdict(lines[-1].is_correct), DERIVED_VERDICT_WEIGHT),
        ]
    return Document(kind, told, segments)


def write_rationale(program: Mapping[str, Any], lines: list[gradeschool.Line]) -> list[Segment]:
    """Each line derived again from the program and marked, up to the first that differs."""
    segments: list[Segment] = []
    for mine, theirs in zip(gradeschool.solve_program(program), lines, strict=False):
        same = mine.text == theirs.text
        segments += [(strip_annotations(mine.text), 1), *mark_step(same, DERIVED_VERDICT_WEIGHT, space=" ")]
        if not same:
            break
    return segments


def draw_misreadings(program: Mapping[str, Any], rng: Any, scale: float = 1.0) -> dict[int, Fault]:
    """The reversals of one fallible writer."""
    return {
        i: Fault("reverse")
        for i, entry in enumerate(program["quantities"])
        if rng.random() < scale * MISREAD_RATES.get(entry["relation"], (0, 0, 0, 0))[entry["template"][0]]
    }


def inject_errors(program: Mapping[str, Any], rng: Any) -> dict[int, Fault]:
    """Mistakes for a solution that is to be checked: about half of the solutions stay right."""
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


def draw_slip(rng: Any) -> int:
    """By how much a result is missed: mostly one digit, by little."""
    return rng.choice((-1, 1)) * rng.choice((1, 1, 1, 2, 2, 3, 4, 5, 6, 8, 9, 10, 10, 10, 11, 20, 30))


def generate_drill(rng: Any, largest: int, lines: int = 12) -> Iterator[Segment]:
    """Bare equations: most documents work them out; in a third half of them are wrong, and are marked."""
    marked = rng.random() < 0.33
    for _ in range(lines):
        a, operation, b, result = draw_equation(rng, largest)
        if not marked:
            yield from ((f"Then {a} {operation} {b} =", 0), (f" {result}.\n", 1))
            continue
        right = rng.random() < 0.5
        said = result if right else max(0, result + draw_slip(rng))
        yield f"Then {a} {operation} {b} = {said}.\n", 0
        yield from mark_step(said == result, DIRECT_VERDICT_WEIGHT)


def draw_equation(rng: Any, largest: int) -> tuple[int, str, int, int]:
    """a, operation, b and the result, all whole and at most `largest`."""
    operation = rng.choice("++----**///")
    if operation in "+-":
        more, b = sorted((rng.randint(1, largest), rng.randint(1, largest)), reverse=True)
        if operation == "-":
            return more, "-", b, more - b
        a, b = rng.choice(((more - b, b), (b, more - b)))
        return a, "+", b, more
    b = rng.randint(2, 9)
    a = rng.randint(2, max(2, largest // b))
    return (a, "*", b, a * b) if operation == "*" else (a * b, "/", b, a)
