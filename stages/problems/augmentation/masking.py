"""One number of a problem becomes x, and a program proves that the answer leaves one value for it.

A slot is a number of the question that the program reads. All numbers that could stand in it are put in, one after the
other, and the program is run: x is asked for only if exactly one of them gives the answer. A number that does not matter
fits with every value; a number that is rounded away, or that a minimum or maximum hides, fits with several. The solution
goes back from the answer: bundled problems by their equations (`variation.solve`), lifted GSM8K problems by the inverse of
each step (`gsm8k_program`). The idea of asking for a number given the answer is that of self-verification (Weng et al.
2023, arXiv 2212.09561) and FOBAR (Jiang et al. 2023, arXiv 2308.07758); the proof is what programs add.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from stages.lib.core.records import Problem, Program, Step
from stages.lib.operators import reversal
from stages.lib.operators.programs import gsm8k_program
from stages.lib.procedural import lifting
from stages.lib.procedural.gradeschool import variation, wording
from stages.lib.procedural.lifting import programs
from stages.lib.procedural.states import NotApplicable, State

VERSION = 1
GENERATOR = "augmentation"
MAX_DOMAIN = 1000  # numbers that are tried in a slot of a real problem


class MaskedProblem(NamedTuple):
    """What a method writes a question from. `sentences` are those of the problem, the question last, with x."""

    sentences: list[str]
    number: str  # as it stood in the problem
    value: str  # of x
    given: str  # the answer of the problem
    steps: list[Step]


class Proof(NamedTuple):
    """The slot that was chosen, and how many numbers were tried in it."""

    slot: int
    tried: int


def find_fitting(evaluate: Callable[[Fraction], Fraction | int | None], domain: Iterable[Fraction], answer: Fraction):
    """The numbers of a domain with which a program gives the answer. evaluate: None where it has no result."""
    return [number for number in domain if evaluate(number) == answer]


def require_unique(fitting: list[Fraction], value: Fraction, tried: int) -> None:
    """Raises NotApplicable unless `value`, and nothing else that was tried, gives the answer."""
    if len(fitting) == tried and tried > 1:
        raise NotApplicable("the number does not matter: every number gives the answer")
    if len(fitting) > 1:
        raise NotApplicable("several numbers give the answer")
    if fitting != [value]:
        raise NotApplicable("the program does not give the answer")


def load_state(problem: Problem) -> tuple[str, State] | None:
    """(kind, program) of a bundled problem or a GSM8K problem that can be lifted; None: no program is known."""
    if problem.program and problem.program.generator == "gradeschool":
        return "gradeschool", problem.program.params
    if problem.benchmark == "gsm8k":
        try:
            return "lifted", lifting.lift(problem)
        except lifting.Unliftable:
            return None
    return None


def draw_slot(kind: str, state: State, rng: random.Random, largest: int) -> Proof:
    """A slot whose number follows from the answer, drawn among all such. Raises NotApplicable with the reason of the last
    slot where there is none. largest: bound on the values of bundled problems."""
    slots = _list_slots(state) if kind == "gradeschool" else reversal.find_reversible(state)
    reason = "no number of the question can be asked for"
    for slot in rng.sample(slots, len(slots)):
        try:
            tried = (_prove_gradeschool if kind == "gradeschool" else _prove_lifted)(state, slot, largest)
            mask(kind, state, slot)
        except NotApplicable as error:
            reason = str(error)
        else:
            return Proof(slot, tried)
    raise NotApplicable(reason)


def mask(kind: str, state: State, slot: int) -> MaskedProblem:
    """The problem with x in a slot, and the solution that finds x. Raises NotApplicable where a step has no inverse."""
    masked = _mask_gradeschool(state, slot) if kind == "gradeschool" else _mask_lifted(state, slot)
    masked = masked._replace(sentences=[mend_article(sentence) for sentence in masked.sentences])
    if masked.steps[-1].value != masked.value:
        raise NotApplicable("the steps back do not lead to the number")
    if count_x(" ".join(masked.sentences)) != 1:
        raise NotApplicable("x does not stand in the question exactly once")
    return masked


def mend_article(text: str) -> str:
    """`an x-minute walk` for `a x-minute walk`."""
    return re.sub(r"\b([Aa]) (?=x\b)", r"\1n ", text)


def count_x(text: str) -> int:
    """How often x stands in a text as a word of its own."""
    return len(re.findall(r"(?<![A-Za-z])[xX](?![A-Za-z])", text))


# Bundled problems.


def _list_slots(state: State) -> list[int]:
    """The quantities whose sentence has a number, written in digits once in the question, other than the answer."""
    answer = variation.compute_values(state)[-1]
    written = [entry.get("number") for entry in state["quantities"]]
    return [
        i
        for i, entry in enumerate(state["quantities"])
        if isinstance(number := entry.get("number"), int) and entry["relation"] != "percent"  # a share has few values
        if number != answer and written.count(number) == 1
    ]


def _prove_gradeschool(state: State, slot: int, largest: int) -> int:
    entry, answer = state["quantities"][slot], variation.compute_values(state)[-1]

    def evaluate(number: Fraction) -> int | None:
        quantities = [*state["quantities"]]
        quantities[slot] = {**entry, "number": int(number)}
        try:
            return variation.compute_values({**state, "quantities": quantities})[-1]
        except NotApplicable:
            return None  # a value would be negative or no whole number

    domain = [Fraction(n) for n in range(1, max(largest, variation.compute_bound(state), variation.MAX_ADDEND) + 1)]
    require_unique(find_fitting(evaluate, domain, Fraction(answer)), Fraction(entry["number"]), len(domain))
    return len(domain)


def _mask_gradeschool(state: State, slot: int) -> MaskedProblem:
    entry, values = state["quantities"][slot], variation.compute_values(state)
    quantities = [*state["quantities"]]
    quantities[slot] = {**entry, "number": "x"}
    sentences = variation.render_sentences({**state, "quantities": quantities})
    steps = _write_steps_back(state, slot, values)
    number = str(entry["number"])
    return MaskedProblem(sentences, number, number, str(values[-1]), steps)


def _write_steps_back(state: State, slot: int, values: list[int]) -> list[Step]:
    """The steps to the values on both sides of the sentence with x, from all other sentences and the answer; then x."""
    entry, people = state["quantities"][slot], state["people"]
    others = [i for i in range(len(values)) if i != slot]
    known = {**state, "told": others, "final": {"template": variation.list_templates(state["split"])["given"][0]}}
    ends = [slot] if entry["relation"] == "given" else [*entry["of"], slot]
    lines: dict[str, Step] = {}
    for end in ends:
        steps, result = variation.solve({**known, "asked": end})
        if result != str(values[end]):
            raise NotApplicable("a value beside the number cannot be found back step by step")
        lines |= {step.text: step for step in steps[:-1]}
    return [*lines.values(), *_write_last_steps(entry, people, slot, values)]


def _write_last_steps(entry: Mapping[str, Any], people: list[str], slot: int, values: list[int]) -> list[Step]:
    name, value = people[slot], values[slot]
    if entry["relation"] == "given":
        line = f"So x is what {name} has: x is {value}."
        return [Step(text=line, value=str(value)), Step(text=f"#### {value}", value=str(value))]
    source, before = people[entry["of"][0]], values[entry["of"][0]]
    operation = wording.OPERATIONS[entry["relation"]]
    is_swapped = operation in "-/"  # value = before - x, so x = before - value
    (first, a), (second, b) = ((source, before), (name, value))[:: 1 if is_swapped else -1]
    sign = "-" if operation in "+-" else "/"
    x = str(entry["number"])
    line = f"Then x is {first} {sign} {second}: {first} has {a}, {second} has {b}, {a} {sign} {b} = <<{a}{sign}{b}={x}>>{x}"
    return [Step(text=f"{line}, so x is {x}.", value=x), Step(text=f"#### {x}", value=x)]


# Lifted GSM8K problems.


def _prove_lifted(state: State, slot: int, largest: int) -> int:
    values, end = programs.list_numbers(state), state["answer"]["step"]
    answer, value = programs.compute_results(state, values)[end], values[slot]

    def evaluate(number: Fraction) -> Fraction | None:
        try:
            return programs.compute_results(state, [*values[:slot], number, *values[slot + 1 :]])[end]
        except ValueError:
            return None  # a division by zero

    places = len(programs.format_decimal(value).partition(".")[2])
    unit, at = Fraction(1, 10**places), int(value * 10**places)
    first = max(1, at - MAX_DOMAIN // 2)
    domain = [unit * n for n in range(first, first + MAX_DOMAIN)]
    require_unique(find_fitting(evaluate, domain, answer), value, len(domain))
    return len(domain)


def _mask_lifted(state: State, slot: int) -> MaskedProblem:
    _, steps, value = gsm8k_program.render({**state, "unknown": {"number": slot}})
    parts, number = [], ""
    for part in state["question"]:
        is_slot = isinstance(part, dict) and part["is"].get("number") == slot
        number = part["said"] if is_slot else number
        parts.append("x" if is_slot else part)
    sentences = [gsm8k_program.render_parts(sentence) for sentence in gsm8k_program.split_sentences(parts)]
    answer = programs.format_decimal(programs.compute_results(state)[state["answer"]["step"]])
    return MaskedProblem([" ".join(s.split()) for s in sentences if s.strip()], number, value, answer, steps)


# Records of what was made, and their check.


def make_program(method: str, kind: str, state: State, slot: int) -> Program:
    params = {"method": method, "base": {"generator": kind, "params": state}, "slot": slot}
    return Program(generator=GENERATOR, version=VERSION, params=params)


def check(problem: Problem) -> list[str]:
    """Faults of a problem with x: [] where question, steps and answer follow from its program."""
    from stages.problems.augmentation.methods import fobar, self_verification

    writers = {module.METHOD: module.write_question for module in (fobar, self_verification)}
    params: Any = problem.program.params if problem.program else {}
    try:
        masked = mask(params["base"]["generator"], params["base"]["params"], params["slot"])
        question = writers[params["method"]](masked, params["base"]["params"])
    except (NotApplicable, ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        return [f"program: {type(error).__name__}: {error}"]
    derived = {"question": question, "answer": masked.value, "steps": masked.steps}
    return [
        f"{field}: is {getattr(problem, field)!r:.120}, derived {value!r:.120}"
        for field, value in derived.items()
        if getattr(problem, field) != value
    ]
