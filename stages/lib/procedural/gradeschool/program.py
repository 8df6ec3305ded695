"""Programs: what a problem is before it has words. Sampling, exact evaluation, rendering, worked solutions.

A program is plain data (it goes into Problem.program): a story, the people, and one entry for every quantity in the
order of the telling. Quantity i has either a given value or a relation to earlier quantities. Each draw is keyed by
(seed, "benchmarks", version, item id, field), so one knob changes only the fields that depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from stages.lib.core import seeds
from stages.lib.procedural.gradeschool import wording

VERSION = 1
_RELATION_KINDS = {
    "additive": ("more", "fewer", "gain", "loss"),
    "inverse additive": ("inverse more", "inverse fewer"),
    "multiplicative": ("times", "groups"),
    "inverse multiplicative": ("inverse part",),
    "divisive": ("part", "percent", "share"),
    "inverse divisive": ("inverse times",),
}


class Knobs(NamedTuple):
    """Difficulty. steps: fewest and most relations; largest: bound on every value; inverse: share of reversed ones."""

    steps: tuple[int, int] = (3, 5)
    max_value: int = 200
    inverse_share: float = 0.25


class Fault(NamedTuple):
    """One mistake of a writer at one step: `reverse` the operation, `slip` (add `amount` to the result), `operand`
    (take the value of quantity `amount` for the known one), `number` (read the number wrong by `amount`), or `stop`."""

    kind: str
    amount: int = 0


class Line(NamedTuple):
    """A line of a solution, the value after it, and whether everything so far is right."""

    text: str
    value: int
    is_correct: bool


def apply(operation: str, a: int, b: int) -> int | None:
    """The exact result, or None where it is not a whole number >= 0."""
    if operation == "/":
        return a // b if b and a % b == 0 else None
    result = {"+": a + b, "-": a - b, "*": a * b}[operation]
    return result if result >= 0 else None


def _draw_number(relation: str, value: int, largest: int, rng: Any) -> tuple[int | str, int] | None:
    """(the number as the sentence says it, as the operation uses it); None where none keeps 1 <= result <= largest."""
    operation = wording.OPERATIONS[relation]
    if operation == "+":
        choices = range(2, min(99, largest - value) + 1)
    elif operation == "-":
        choices = range(2, min(99, value - 2) + 1)
    elif operation == "*":
        choices = range(2, min(9, largest // max(1, value)) + 1)
    else:
        choices = [n for n in range(2, 10) if value % n == 0 and value // n >= 2]
    if relation.endswith("part"):
        said = [word for word, n in wording.FRACTION_DIVISORS.items() if n in choices]
    elif relation == "percent":
        said = [p for p, n in wording.PERCENT_DIVISORS.items() if value % n == 0 and value // n >= 2]
    else:
        said = list(choices)
    if not said:
        return None
    said = rng.choice(said)
    used = (
        wording.FRACTION_DIVISORS.get(said)
        if isinstance(said, str)
        else wording.PERCENT_DIVISORS[said]
        if relation == "percent"
        else said
    )
    return said, used


def sample_program(split: str, item: str, seed: int, knobs: Knobs) -> dict[str, Any]:
    """A program for item id `item` of `split`, with the split's own stories and templates."""

    def rng(*field: Any):
        return seeds.rng(seed, "benchmarks", VERSION, item, *field)

    stories = wording.list_owned_pairs(split, len(wording.VERBS), len(wording.UNITS))
    templates = {
        relation: wording.list_owned_pairs(split, len(wordings), len(wording.FRAMES))
        for relation, wordings in wording.WORDINGS.items()
    }
    links = rng("steps").randint(*knobs.steps)
    givens = 1 + (links > 1 and rng("givens").random() < 0.4)
    people = rng("people").sample(wording.NAMES, givens + links)
    joint = givens + rng("joint").randrange(links) if givens == 2 else None  # where the second given is used
    quantities: list[dict[str, Any]] = []
    values: list[int] = []
    for i in range(givens + links):
        draw = rng("quantity", i)
        if i < givens:
            value = draw.randint(3, max(9, knobs.max_value // 3))
            entry = {"relation": "given", "number": value}
        else:
            # The chain runs on from the newest quantity; the first of two givens waits for the joint step.
            source = i - 1
            known = values[source]
            other = 0 if i == joint else draw.randrange(i)
            total = known + values[other]
            if i == joint or (draw.random() < 0.1 and other != source and total <= knobs.max_value):
                entry, value = {"relation": "sum", "of": [source, other]}, total
            else:
                entry, value = _draw_relation(known, source, knobs, draw)
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


def _draw_relation(known: int, source: int, knobs: Knobs, draw: Any) -> tuple[dict[str, Any], int]:
    while True:
        kind = draw.choices(("additive", "multiplicative", "divisive"), (0.5, 0.25, 0.25))[0]
        relation = draw.choice(_RELATION_KINDS[f"inverse {kind}" if draw.random() < knobs.inverse_share else kind])
        number = _draw_number(relation, known, knobs.max_value, draw)
        if number is not None:
            said, used = number
            entry = {"relation": relation, "of": [source], "number": said}
            return entry, apply(wording.OPERATIONS[relation], known, used)


def _get_operand(entry: Mapping[str, Any]) -> int:
    said = entry["number"]
    if isinstance(said, str):
        return wording.FRACTION_DIVISORS[said]
    return wording.PERCENT_DIVISORS[said] if entry["relation"] == "percent" else said


def render_question(program: Mapping[str, Any]) -> str:
    """The problem in words."""
    verb, unit = wording.VERBS[program["story"][0]], wording.UNITS[program["story"][1]]
    people, sentences = program["people"], []
    for i, entry in enumerate(program["quantities"]):
        of = entry.get("of", [])
        words = {"verb": verb, "unit": unit, "t": people[i], "n": entry.get("number")}
        words |= dict(zip("sr", (people[j] for j in of), strict=False))
        sentences.append(wording.render_sentence(entry["relation"], tuple(entry["template"]), **words))
    last = people[len(program["quantities"]) - 1]
    sentences.append(wording.render_sentence("question", tuple(program["question"]), unit=unit, t=last))
    return " ".join(sentences)


def solve_program(program: Mapping[str, Any], faults: Mapping[int, Fault] | None = None) -> list[Line]:
    """The worked solution, one line a quantity and the answer last, with GSM8K's calculator annotations.

    With `faults` (quantity index -> Fault) the writer makes those mistakes and goes on from the wrong values, as a
    model would. A fault that would leave the whole numbers >= 0, or change nothing, is not made.
    """
    faults = faults or {}
    people, quantities = program["people"], program["quantities"]
    truth: list[int] = []
    values: list[int] = []
    lines: list[Line] = []
    right = True
    for i, entry in enumerate(quantities):
        fault = faults.get(i)
        if fault and fault.kind == "stop" and lines:
            right = False
            break
        name = people[i]
        if entry["relation"] == "given":
            value = true = entry["number"]
            if fault and fault.kind == "number" and value + fault.amount > 0:
                value += fault.amount
            text = f"We know {name} has {value}."
        else:
            of, operation = entry["of"], wording.OPERATIONS[entry["relation"]]
            joint = len(of) == 2
            true = apply(operation, truth[of[0]], truth[of[1]] if joint else _get_operand(entry))
            first, second = values[of[0]], values[of[1]] if joint else _get_operand(entry)
            if fault and fault.kind == "operand" and fault.amount < i:
                first = values[fault.amount]
            if fault and fault.kind == "number" and not joint and second + fault.amount > 1:
                second += fault.amount
            if fault and fault.kind == "reverse":
                reversed_ = {"+": "-", "-": "+", "*": "/", "/": "*"}[operation]
                if apply(reversed_, first, second) is not None:
                    operation = reversed_
            exact = apply(operation, first, second)
            if exact is None:  # an earlier mistake made the step impossible: people then round down, or to nothing
                exact = max(0, first // second if operation == "/" and second else 0)
            value = exact
            if fault and fault.kind == "slip" and value + fault.amount >= 0:
                value += fault.amount
            terms = f"{people[of[0]]} {operation} {people[of[1]] if joint else second}"
            recalled = f"{people[of[0]]} has {first}" + (f", {people[of[1]]} has {second}" if joint else "")
            annotation = f"<<{first}{operation}{second}={value}>>{value}"
            equation = f"{first} {operation} {second} = {annotation}"
            text = f"Then {name} has {terms}: {recalled}, {equation}, so {name} has {value}."
        truth.append(true)
        values.append(value)
        right = right and value == true
        lines.append(Line(text, value, right))
    answer = values[-1]
    lines.append(Line(f"#### {answer}", answer, right))
    return lines
