"""Problems of competition families: generated, rebuilt from their program, and checked.

An item is kept only if its two solvers agree on an integer from 0 to 999, its solution ends in that integer, and its text
reads back to its parameters. If the solvers disagree, the family has a bug: the item is not drawn again,
and `generate_item` returns a message that names the family. `check` also reads the solution: every step states its
value, every equation in it holds, and the answer has the form that the question promises (p/q, m*sqrt(n)).
"""

from __future__ import annotations

import json
import random
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
LEVELS = (0, 1, 2, 3)  # 0, the easiest, only in some families
MAX_ANSWER = 999
MAX_ATTEMPTS = 400
FAMILIES: dict[str, Family] = {
    family.name: family
    for area in (number_theory, combinatorics, algebra, geometry, probability)
    for family in area.FAMILIES
}


def generate_item(name: str, level: int, seed: int, item_id: str, split: str | None = None) -> Problem | str:
    """The item with this id, or the reason why there is none. It depends only on these arguments.

    The default split is the one in the id (`competition/<split>/...`). Every possible problem belongs either to the even
    seeds or to the odd ones, so adjacent seeds share no problem, however small a family is.
    """
    family = FAMILIES[name]
    if level not in family.levels:
        return f"{name} has no level {level}, only {', '.join(map(str, family.levels))}"
    reason = ""
    for attempt in range(MAX_ATTEMPTS):

        def draw(field: str, attempt: int = attempt) -> random.Random:
            return seeds.rng(seed, "aime", VERSION, family.version, item_id, level, attempt, field)

        params = family.sample_at(draw, level)
        if params is None:
            reason = reason or "every draw was degenerate"
            continue
        if seeds.key("aime", fingerprint(name, params)) % 2 != seed % 2:
            continue
        answer = solve_with_both(family, params)
        if isinstance(answer, str):
            return answer
        if not 0 <= answer <= MAX_ANSWER:
            reason = f"the answer {answer} is not in 0..{MAX_ANSWER}"
            continue
        phrasing = draw("phrasing").randrange(len(family.phrasings))
        split = split or item_id.split("/")[1]
        problem = build_problem(family, level, phrasing, params, item_id, split, f"seed={seed}")
        if not is_stated(problem.answer, problem.question):
            return problem
        reason = f"the answer {answer} stands in the text"
    return f"{name}, level {level}: no problem in {MAX_ATTEMPTS} draws ({reason})"


def fingerprint(name: str, params: Mapping[str, Any]) -> str:
    """Equal for problems that ask the same in any phrasing."""
    return f"{name} {json.dumps(params, sort_keys=True)}"


def solve_with_both(family: Family, params: Params) -> int | str:
    """The answer, or a message that the two solvers disagree."""
    closed, brute = family.solve_closed(params), family.solve_brute(params)
    if closed != brute:
        return f"{family.name}: the solvers disagree, {closed} in closed form and {brute} by search, for {params}"
    return closed


def build_problem(
    family: Family, level: int, phrasing: int, params: Params, item_id: str, split: str, revision: str
) -> Problem:
    """The record of a problem; `phrasing` is an index into the family's phrasings, `revision` names the seed."""
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


def get_program(problem: Problem) -> dict[str, Any]:
    """Problem.program.params. Raises ValueError for a problem without a program."""
    if problem.program is None:
        raise ValueError(f"{problem.id} has no program")
    return problem.program.params


def estimate_difficulty(family: Family, params: Params) -> float:
    """Steps of the worked solution plus decimal digits of the number of candidates of a search."""
    return round(len(family.write_steps(params)) + log10(max(1, family.count_work(params))), 2)


def rederive(program: Mapping[str, Any]) -> tuple[str, list[Step], str]:
    """(question, steps, answer) of a program (Problem.program.params); the last step is the `#### answer` line."""
    family, params = FAMILIES[program["family"]], program["params"]
    answer = str(family.solve_closed(params))
    question = render_question(program)
    if "frame" in program:
        question = f"{program['frame']} {question}"
    return question, [*family.write_steps(params), Step(text=f"#### {answer}", value=answer)], answer


def render_question(program: Mapping[str, Any]) -> str:
    """The question in the family's phrasing, without an introduction."""
    family = FAMILIES[program["family"]]
    return templates.render_template(family.phrasings[program["phrasing"]], family.format_fields(program["params"]))


def add_intro(problem: Problem, sentence: str) -> Problem | str:
    """The item with a model's sentence in front of the question, or the reason why the sentence is refused."""
    program = get_program(problem)
    if reason := intros.find_fault(sentence, render_question(program)):
        return reason
    new_program = Program(generator=GENERATOR, version=VERSION, params=program | {"frame": sentence})
    return problem.model_copy(update={"question": f"{sentence} {problem.question}", "program": new_program})


def check(problem: Problem) -> list[str]:
    """The faults of an item, one sentence each; [] for a sound item. Runs both solvers again."""
    try:
        return _find_faults(problem)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        return [f"program: {type(error).__name__}: {error}"]


def _find_faults(problem: Problem) -> list[str]:
    program = get_program(problem)
    family, params = FAMILIES[program["family"]], program["params"]
    answer = solve_with_both(family, params)
    if isinstance(answer, str):
        return [answer]
    question, steps, derived = rederive(program)
    faults = [
        f"{field} differs from what the program gives"
        for field, value in (("question", question), ("answer", derived), ("steps", steps))
        if getattr(problem, field) != value
    ]
    if not 0 <= answer <= MAX_ANSWER:
        faults.append(f"the answer {answer} is not in 0..{MAX_ANSWER}")
    if is_stated(derived, question):
        faults.append(f"the answer {derived} stands in the text")
    if len(steps) < 4 or steps[-2].value != derived:
        faults.append("the worked solution needs three steps and must end in the answer")
    faults += find_false_steps(steps) + check_answer_form(question, steps)
    intro = program.get("frame", "")
    if intro and (reason := intros.find_fault(intro, render_question(program))):
        faults.append(f"the sentence in front: {reason}")
    fields = templates.parse_text(family.phrasings[program["phrasing"]], problem.question.removeprefix(f"{intro} "))
    if fields is None or family.parse_fields(fields) != params:
        faults.append("the text does not read back to the parameters")
    return faults


def is_stated(value: str, text: str) -> bool:
    """Whether a value occurs in the text as a separate number."""
    return re.search(rf"(?<![\w^-])(?<!\d[.,]){re.escape(value)}(?!\w|[.,]\d)", text) is not None


def find_false_steps(steps: Iterable[Step]) -> list[str]:
    """Faults of steps that do not state their value, or contain an equation that does not hold."""
    faults = []
    for step in steps:
        if step.value is None or not is_stated(step.value, step.text.partition(" ")[2]):
            faults.append(f"does not state its value {step.value}: {step.text!r}")
        equations = find_equations(step.text)
        faults += [f"{left} = {right} does not hold: {step.text!r}" for left, right, holds in equations if not holds]
    return faults


def check_answer_form(question: str, steps: list[Step]) -> list[str]:
    """Faults of an answer p + q, m + n or m + n + p: not what the question promises, not in lowest terms, or n not
    squarefree."""
    has_root = "no square of a prime divides n" in question
    is_lowest = "relatively prime" in question or "lowest terms" in question
    promises = {
        "p + q": is_lowest and not has_root,
        "m + n": has_root and not is_lowest,
        "m + n + p": has_root and is_lowest,
    }
    faults = []
    for form, is_promised in promises.items():
        match = re.search(rf"(?<!\w ){re.escape(form)} = (\d+(?: \+ \d+)+) = ", steps[-2].text)
        if is_promised and not match:
            faults.append(f"{form}: promised, but not what is summed")
        elif match and not is_promised:
            faults.append(f"{form}: summed, but without its condition")
        elif match:
            numbers = [int(number) for number in match[1].split(" + ")]
            if form != "m + n" and gcd(numbers[0], numbers[-1]) != 1:
                faults.append(f"{numbers[0]}/{numbers[-1]} is not in lowest terms")
            if form != "p + q" and any(numbers[1] % (d * d) == 0 for d in range(2, isqrt(numbers[1]) + 1)):
                faults.append(f"{numbers[1]} has a square factor")
    return faults
