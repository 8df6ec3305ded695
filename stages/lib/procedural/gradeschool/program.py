"""Programs behind grade-school problems: sampled, written out as a question, and solved with or without mistakes.

A program is plain data (Problem.program): a story, the people, and one entry per quantity in the order of the sentences.
A quantity has a given value or a relation to earlier quantities. Every draw is keyed by (seed, "benchmarks", version,
item id, field), so a knob changes only the fields that depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from stages.lib.core import seeds
from stages.lib.procedural.gradeschool import wording

VERSION = 2
_RELATION_KINDS = {
    "additive": ("more", "fewer", "gain", "loss"),
    "inverse additive": ("inverse more", "inverse fewer"),
    "multiplicative": ("times", "groups"),
    "inverse multiplicative": ("inverse part",),
    "divisive": ("part", "percent", "share"),
    "inverse divisive": ("inverse times",),
}
_INVERSE_OPERATIONS = {"+": "-", "-": "+", "*": "/", "/": "*"}


class Knobs(NamedTuple):
    """Difficulty: fewest and most relations, upper bound of every value, share of relations in inconsistent language."""

    steps: tuple[int, int] = (3, 5)
    max_value: int = 200
    inverse_share: float = 0.25


class Fault(NamedTuple):
    """A mistake at one step. kind: `reverse` (the inverse operation), `slip` (the result is off by `amount`), `operand`
    (the value of quantity number `amount` is used), `number` (the number is misread by `amount`), `stop`."""

    kind: str
    amount: int = 0


_NO_FAULT = Fault("none")


class Line(NamedTuple):
    """A line of a solution, the value after it, and whether this line and all before it are correct."""

    text: str
    value: int
    is_correct: bool


def apply(operation: str, a: int, b: int) -> int | None:
    """The exact result of `a operation b`; None if it is not an integer >= 0."""
    if operation == "/":
        return a // b if b and a % b == 0 else None
    result = {"+": a + b, "-": a - b, "*": a * b}[operation]
    return result if result >= 0 else None


def _draw_number(relation: str, value: int, max_value: int, rng: Random) -> tuple[int | str, int] | None:
    """(number of the sentence, operand of the operation); None if no number keeps 1 <= result <= max_value."""
    operation = wording.OPERATIONS[relation]
    if operation == "/":
        operands = [n for n in range(2, 10) if value % n == 0 and value // n >= 2]
    else:
        limit = {"+": min(99, max_value - value), "-": min(99, value - 2), "*": min(9, max_value // max(1, value))}
        operands = range(2, limit[operation] + 1)
    if relation.endswith("part"):
        numbers = [word for word, n in wording.FRACTION_DIVISORS.items() if n in operands]
    elif relation == "percent":
        numbers = [percent for percent, n in wording.PERCENT_DIVISORS.items() if value % n == 0 and value // n >= 2]
    else:
        numbers = list(operands)
    if not numbers:
        return None
    number = rng.choice(numbers)
    return number, _get_operand({"relation": relation, "number": number})


def _get_operand(entry: Mapping[str, Any]) -> int:
    """The operand that the number of a sentence means: 2 for `half`, 4 for 25 percent."""
    number = entry["number"]
    if isinstance(number, str):
        return wording.FRACTION_DIVISORS[number]
    return wording.PERCENT_DIVISORS[number] if entry["relation"] == "percent" else number


def sample_program(split: str, item: str, seed: int, knobs: Knobs) -> dict[str, Any]:
    """A program for the item id `item`, with the stories and templates of `split`."""

    def rng(*field: Any) -> Random:
        return seeds.rng(seed, "benchmarks", VERSION, item, *field)

    stories = wording.list_owned_pairs(split, len(wording.VERBS), len(wording.UNITS))
    templates = {
        relation: wording.list_owned_pairs(split, len(wordings), len(wording.FRAMES))
        for relation, wordings in wording.WORDINGS.items()
    }
    relations = rng("steps").randint(*knobs.steps)
    givens = 1 + (relations > 1 and rng("givens").random() < 0.4)
    people = rng("people").sample(wording.NAMES, givens + relations)
    joint = givens + rng("joint").randrange(relations) if givens == 2 else None  # where the second given is used
    quantities: list[dict[str, Any]] = []
    values: list[int] = []
    for i in range(givens + relations):
        draw = rng("quantity", i)
        if i < givens:
            value = draw.randint(3, max(9, knobs.max_value // 3))
            entry = {"relation": "given", "number": value}
        else:
            # The chain continues from the newest quantity; the first of two givens waits for the joint step.
            source = i - 1
            other = 0 if i == joint else draw.randrange(i)
            total = values[source] + values[other]
            if i == joint or (draw.random() < 0.1 and other != source and total <= knobs.max_value):
                entry, value = {"relation": "sum", "of": [source, other]}, total
            else:
                entry, value = _draw_relation(values[source], source, knobs, draw)
        entry["template"] = list(draw.choice(templates[entry["relation"]]))
        quantities.append(entry)
        values.append(value)
    return {
        "split": split,
        "story": list(rng("story").choice(stories)),
        "people": people,
        "quantities": quantities,
        "question": list(rng("question").choice(templates["question"])),
    }


def _draw_relation(value: int, source: int, knobs: Knobs, draw: Random) -> tuple[dict[str, Any], int]:
    """An entry that depends on quantity number `source`, which has this value; and its own value."""
    while True:
        kind = draw.choices(("additive", "multiplicative", "divisive"), (0.5, 0.25, 0.25))[0]
        relation = draw.choice(_RELATION_KINDS[f"inverse {kind}" if draw.random() < knobs.inverse_share else kind])
        if pair := _draw_number(relation, value, knobs.max_value, draw):
            number, operand = pair
            result = apply(wording.OPERATIONS[relation], value, operand)
            assert result is not None  # the number was chosen so
            return {"relation": relation, "of": [source], "number": number}, result


def render_question(program: Mapping[str, Any]) -> str:
    """The question text of a program."""
    verb, unit = wording.VERBS[program["story"][0]], wording.UNITS[program["story"][1]]
    people, sentences = program["people"], []
    for i, entry in enumerate(program["quantities"]):
        words = {"verb": verb, "unit": unit, "t": people[i], "n": entry.get("number")}
        words |= dict(zip("sr", (people[j] for j in entry.get("of", [])), strict=False))
        sentences.append(wording.render_sentence(entry["relation"], tuple(entry["template"]), **words))
    last = people[len(program["quantities"]) - 1]
    sentences.append(wording.render_sentence("question", tuple(program["question"]), unit=unit, t=last))
    return " ".join(sentences)


def solve_program(program: Mapping[str, Any], faults: Mapping[int, Fault] | None = None) -> list[Line]:
    """The worked solution: one line per quantity with GSM8K's calculator annotations, then the answer.

    `faults` (quantity index -> Fault) are mistakes of the writer, who continues from the wrong values, as a model would.
    A fault that would give a negative number, or change nothing, is ignored.
    """
    people = program["people"]
    values: list[int] = []
    truth: list[Any] = []
    lines: list[Line] = []
    is_correct = True
    for i, entry in enumerate(program["quantities"]):
        fault = (faults or {}).get(i, _NO_FAULT)
        if fault.kind == "stop" and lines:
            is_correct = False
            break
        if entry["relation"] == "given":
            text, value = _solve_given(people[i], entry["number"], fault)
            truth.append(entry["number"])
        else:
            text, value = _solve_relation(i, entry, people, values, fault)
            truth.append(apply(wording.OPERATIONS[entry["relation"]], *_get_operands(entry, truth)))
        values.append(value)
        is_correct = is_correct and value == truth[-1]
        lines.append(Line(text, value, is_correct))
    return [*lines, Line(f"#### {values[-1]}", values[-1], is_correct)]


def _solve_given(name: str, number: int, fault: Fault) -> tuple[str, int]:
    """(text, value) of the line of a given quantity."""
    if fault.kind == "number" and number + fault.amount > 0:
        number += fault.amount
    return f"We know {name} has {number}.", number


def _get_operands(entry: Mapping[str, Any], values: Sequence[int]) -> tuple[int, int]:
    """The value of the source, and that of the second source or the operand that the sentence gives."""
    first, *others = (values[j] for j in entry["of"])
    return first, others[0] if others else _get_operand(entry)


def _solve_relation(
    i: int, entry: Mapping[str, Any], people: Sequence[str], values: Sequence[int], fault: Fault
) -> tuple[str, int]:
    """(text, value) of the line of quantity i, which depends on earlier `values`."""
    operation, sources = wording.OPERATIONS[entry["relation"]], [people[j] for j in entry["of"]]
    first, second = _get_operands(entry, values)
    if fault.kind == "operand" and fault.amount < i:
        first = values[fault.amount]
    elif fault.kind == "number" and len(sources) == 1 and second + fault.amount > 1:
        second += fault.amount
    elif fault.kind == "reverse" and apply(_INVERSE_OPERATIONS[operation], first, second) is not None:
        operation = _INVERSE_OPERATIONS[operation]
    value = apply(operation, first, second)
    if value is None:  # an earlier mistake made the step impossible: round down, or to 0
        value = first // second if operation == "/" and second else 0
    if fault.kind == "slip" and value + fault.amount >= 0:
        value += fault.amount
    terms = f"{sources[0]} {operation} {sources[1] if len(sources) == 2 else second}"
    recall = ", ".join(f"{name} has {number}" for name, number in zip(sources, (first, second), strict=False))
    equation = f"{first} {operation} {second} = <<{first}{operation}{second}={value}>>{value}"
    return f"Then {people[i]} has {terms}: {recall}, {equation}, so {people[i]} has {value}.", value
