"""Competition problems: drawn, proven, written down, derived again, and checked.

An item is kept only if its two solvers agree on an integer in 0..999, its solution ends in that integer, and its text
reads back to the parameters it was made of. A disagreement of the solvers is never drawn over: it is a fault of the
family, and the reason that `generate_item` gives names it. `check` also reads the solution as a sceptic would: every step states
its value, every equation in it holds, and what the question promises of p/q or m*sqrt(n) is so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from math import gcd, isqrt, log10
from typing import Any

from stages.lib.core import seeds
from stages.lib.core.records import Problem, Program, Source, Step
from stages.lib.procedural.competition import (
    algebra,
    combinatorics,
    geometry,
    intros,
    number_theory,
    probability,
    templates,
)
from stages.lib.procedural.competition.equations import find_equations
from stages.lib.procedural.competition.family import Family, Params

VERSION = 2  # 2: families mended on reading, other parameters, no answer in the text
GENERATOR = "competition"
LEVELS = (1, 2, 3)
MAX_ANSWER = 999
MAX_ATTEMPTS = 400
FAMILIES: dict[str, Family] = {
    family.name: family
    for module in (number_theory, combinatorics, algebra, geometry, probability)
    for family in module.FAMILIES
}


def generate_item(name: str, level: int, seed: int, item_id: str, split: str | None = None) -> Problem | str:
    """The item with this id, or why there is none. It depends on nothing but these arguments; the split is the one that
    the id names (`competition/<split>/...`) unless another is given. Every possible problem
    belongs to the even seeds or to the odd ones, so adjacent seeds share none however small a family is."""
    family = FAMILIES[name]
    reason = ""
    for attempt in range(MAX_ATTEMPTS):

        def draw(field: str, attempt: int = attempt):
            return seeds.rng(seed, "aime", VERSION, family.version, item_id, level, attempt, field)

        params = family.sample(draw, level)
        if params is None:
            reason = reason or "every draw was degenerate"
            continue
        if seeds.key("aime", fingerprint(name, params)) % 2 != seed % 2:
            continue
        answer = solve_with_both(family, params)
        if isinstance(answer, str):
            return answer
        reason = f"the answer {answer} is not in 0..{MAX_ANSWER}"
        if 0 <= answer <= MAX_ANSWER:
            phrasing = draw("phrasing").randrange(len(family.phrasings))
            if is_stated(
                str(answer), templates.render_template(family.phrasings[phrasing], family.format_fields(params))
            ):
                reason = f"the answer {answer} stands in the text"
                continue
            return build_problem(
                family, level, phrasing, params, item_id, split or item_id.split("/")[1], f"seed={seed}"
            )
    return f"{name}, level {level}: no problem in {MAX_ATTEMPTS} draws ({reason})"


def fingerprint(name: str, params: Mapping[str, Any]) -> str:
    """What an item says, whatever the words."""
    return f"{name} {json.dumps(params, sort_keys=True)}"


def solve_with_both(family: Family, params: Params) -> int | str:
    """The answer, or the sentence that says how the solvers disagree."""
    closed, brute = family.solve_closed(params), family.solve_brute(params)
    if closed != brute:
        return f"{family.name}: the solvers disagree, {closed} in closed form and {brute} by search, for {params}"
    return closed


def build_problem(
    family: Family, level: int, phrasing: int, params: Params, item_id: str, split: str, revision: str
) -> Problem:
    program = {"family": family.name, "level": level, "phrasing": phrasing, "params": params}
    question, steps, answer = rederive(program)
    return Problem(
        id=item_id,
        benchmark="competition",
        split=split,
        question=question,
        answer=answer,
        answer_type="integer",
        steps=steps,
        difficulty=estimate_difficulty(family, params),
        program=Program(generator=GENERATOR, version=VERSION, params=program),
        licence="MIT",
        source=Source(url="procedural:competition", revision=revision),
    )


def estimate_difficulty(family: Family, params: Params) -> float:
    """Steps of the worked solution, and decimal digits of the search that does without it."""
    return round(len(family.write_steps(params)) + log10(max(1, family.count_work(params))), 2)


def rederive(program: Mapping[str, Any]) -> tuple[str, list[Step], str]:
    """(question, steps, answer) of Problem.program.params; the last step is the `#### answer` line."""
    family, params = FAMILIES[program["family"]], program["params"]
    answer = str(family.solve_closed(params))
    question = render_question(program)
    if "frame" in program:
        question = f"{program['frame']} {question}"
    return question, [*family.write_steps(params), Step(text=f"#### {answer}", value=answer)], answer


def render_question(program: Mapping[str, Any]) -> str:
    """The question in the family's own words."""
    family = FAMILIES[program["family"]]
    return templates.render_template(family.phrasings[program["phrasing"]], family.format_fields(program["params"]))


def add_intro(problem: Problem, sentence: str) -> Problem | str:
    """The item with a model's sentence in front, or why it may not stand there."""
    program = problem.program.params
    if reason := intros.find_fault(sentence, render_question(program)):
        return reason
    program = problem.program.model_copy(update={"params": program | {"frame": sentence}})
    return problem.model_copy(update={"question": f"{sentence} {problem.question}", "program": program})


def check(problem: Problem) -> list[str]:
    """What is wrong with an item: sentences, [] where all holds. Both solvers run again."""
    try:
        return _find_faults(problem)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        return [f"program: {type(error).__name__}: {error}"]


def _find_faults(problem: Problem) -> list[str]:
    program = problem.program.params
    family, params = FAMILIES[program["family"]], program["params"]
    answer = solve_with_both(family, params)
    if isinstance(answer, str):
        return [answer]
    faults = []
    question, steps, derived = rederive(program)
    for field, value in (("question", question), ("answer", derived), ("steps", steps)):
        if getattr(problem, field) != value:
            faults.append(f"{field} differs from what the program gives")
    if not 0 <= answer <= MAX_ANSWER:
        faults.append(f"the answer {answer} is not in 0..{MAX_ANSWER}")
    if is_stated(derived, question):
        faults.append(f"the answer {derived} stands in the text")
    if len(steps) < 4 or steps[-2].value != derived:
        faults.append("the worked solution needs three steps and must end in the answer")
    faults += find_false_steps(steps) + check_answer_form(question, steps)
    frame = program.get("frame", "")
    if frame and (reason := intros.find_fault(frame, render_question(program))):
        faults.append(f"the sentence in front: {reason}")
    fields = templates.parse_text(family.phrasings[program["phrasing"]], problem.question.removeprefix(f"{frame} "))
    if fields is None or family.parse_fields(fields) != params:
        faults.append("the text does not read back to the parameters")
    return faults


def is_stated(value: str, text: str) -> bool:
    """Whether a value stands in the text as a number of its own."""
    return re.search(rf"(?<![\w^-])(?<!\d[.,]){re.escape(value)}(?!\w|[.,]\d)", text) is not None


def find_false_steps(steps: Iterable[Step]) -> list[str]:
    """Steps that do not state their value, and equations in them that do not hold."""
    faults = []
    for step in steps:
        if step.value is None or not is_stated(step.value, step.text.partition(" ")[2]):
            faults.append(f"does not state its value {step.value}: {step.text!r}")
        faults += [
            f"{left} = {right} does not hold: {step.text!r}" for left, right, so in find_equations(step.text) if not so
        ]
    return faults


def check_answer_form(question: str, steps: list[Step]) -> list[str]:
    """An answer p + q, m + n or m + n + p is what the text says of it: a fraction in lowest terms, n without a square
    factor."""
    root = "no square of a prime divides n" in question
    lowest = "relatively prime" in question or "lowest terms" in question
    said = {"p + q": lowest and not root, "m + n": root and not lowest, "m + n + p": root and lowest}
    faults = []
    for form, promised in said.items():
        found = re.search(rf"(?<!\w ){re.escape(form)} = (\d+(?: \+ \d+)+) = ", steps[-2].text)
        if promised != bool(found):
            faults.append(
                f"{form}: {'promised, but not what is summed' if promised else 'summed, but without its condition'}"
            )
        elif found:
            numbers = [int(number) for number in found[1].split(" + ")]
            if form != "m + n" and gcd(numbers[0], numbers[-1]) != 1:
                faults.append(f"{numbers[0]}/{numbers[-1]} is not in lowest terms")
            if form != "p + q" and any(numbers[1] % (d * d) == 0 for d in range(2, isqrt(numbers[1]) + 1)):
                faults.append(f"{numbers[1]} has a square factor")
    return faults
