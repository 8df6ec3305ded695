"""Changed problems of the bundled benchmark: equations over people, in any order, with any value asked for.

A state is a program of `lib/procedural/gradeschool` with further keys, all optional:
  told      the quantities that have a sentence, in the order of the text (default: all, in order)
  asides    distractors: {"person", "entry", "before"}, before the `before`-th sentence; their sources may be names
  strays    [quantity, person]: its sentence is about that person, who is not needed (`premise.py`)
  asked     the quantity asked for (default: the last)
  final     {"template"}: the value of the last quantity is given, in the words of that template
  unit      the things counted, instead of those of the story
  edits     typos, made last (`typos.py`)
An entry may have `fresh` (a new template, `phrasing.py`) or `measure` (`units.py`).

`solve` does not use the order in which a program was sampled: it collects the equations of the sentences and derives one
value a line until the target is known. On an unchanged program it writes the same lines as `gradeschool.solve` by another
algorithm, so each checks the other. Without a needed premise it stops and answers N/A.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from stages.lib.core.records import Step
from stages.lib.procedural.gradeschool import wording
from stages.lib.procedural.gradeschool.program import apply
from stages.lib.procedural.states import Knobs, NotApplicable, State, apply_edits

INVERSE = {"+": "-", "-": "+", "*": "/", "/": "*"}
DEFAULT_BOUND = 60  # the bound on values that the benchmark has in every preset
MAX_ADDEND = 99  # the largest number that the benchmark adds or takes away


class Equation(NamedTuple):
    """person = source operation other. other: the index of a person if `joint`, else a number. A given value has no
    source. measured: (count, unit, size) of a number given in a unit."""

    person: int
    source: int | None = None
    operation: str = ""
    other: int = 0
    joint: bool = False
    measured: tuple[int, str, int] | None = None


# Numbers, drawn from the distributions of the benchmark.


def list_operands(relation: str, known: int, largest: int, addend: int = MAX_ADDEND) -> list[tuple[int | str, int]]:
    """(number as written, as used) that `relation` can have for a source of value `known`, with 1 < result <= largest."""
    operation = wording.OPERATIONS[relation]
    if operation == "+":
        choices = range(2, min(addend, largest - known) + 1)
    elif operation == "-":
        choices = range(2, min(addend, known - 2) + 1)
    elif operation == "*":
        choices = range(2, min(9, largest // max(1, known)) + 1)
    else:
        choices = [n for n in range(2, 10) if known % n == 0 and known // n >= 2]
    if relation.endswith("part"):
        return [(word, n) for word, n in wording.FRACTION_DIVISORS.items() if n in choices]
    if relation == "percent":
        return [(p, n) for p, n in wording.PERCENT_DIVISORS.items() if known % n == 0 and known // n >= 2]
    return [(n, n) for n in choices]


def get_operand(entry: Mapping[str, Any]) -> int:
    """The number of an entry as its operation uses it: a third is 3, 25 percent is 4."""
    number = entry["number"]
    if isinstance(number, str):
        return wording.FRACTION_DIVISORS[number]
    return wording.PERCENT_DIVISORS[number] if entry["relation"] == "percent" else number


def compute_values(state: State) -> list[int]:
    """The value of every quantity, in order. Raises NotApplicable where one is not a whole number above 0."""
    values: list[int] = []
    for i, entry in enumerate(state["quantities"]):
        values.append(compute_value(entry, values))
        if values[i] < 1:
            raise NotApplicable(f"quantity {i} would be {values[i]}")
    return values


def compute_value(entry: Mapping[str, Any], values: list[int]) -> int:
    """The value of an entry whose sources are known. Raises NotApplicable where it is not a whole number."""
    if entry["relation"] == "given":
        return entry["number"]
    sources = entry["of"]
    operand = values[sources[1]] if len(sources) == 2 else get_operand(entry)
    result = apply(wording.OPERATIONS[entry["relation"]], values[sources[0]], operand)
    if result is None:
        raise NotApplicable("a value would not be a whole number")
    return result


def draw_relation(
    source: int, known: int, largest: int, templates: Mapping[str, list], rng: random.Random
) -> dict[str, Any]:
    """A new relation to quantity `source` of value `known`, with a template of `templates` (`list_templates`)."""
    kinds = (("more", "fewer", "gain", "loss"), ("times", "groups"), ("part", "percent", "share"))
    while True:
        relation = rng.choice(rng.choices(kinds, (0.5, 0.25, 0.25))[0])
        choices = list_operands(relation, known, largest)
        if choices:
            number = rng.choice(choices)[0]
            template = list(rng.choice(templates[relation]))
            return {"relation": relation, "of": [source], "number": number, "template": template}


def compute_bound(state: State) -> int:
    """The largest result of an addition or a multiplication: the benchmark bounds these, and lets only sums of two
    people exceed the bound. The largest given value where there is neither."""
    return max(
        value
        for entry, value in zip(state["quantities"], compute_values(state), strict=True)
        if entry["relation"] != "sum" and wording.OPERATIONS.get(entry["relation"], "+") in "+*"
    )


def get_bound(state: State, knobs: Knobs) -> int:
    """The bound on new values: that of the split (`largest`), or the problem's own where that is larger."""
    return max(knobs.get("largest") or 0, compute_bound(state))


def list_templates(split: str) -> dict[str, list[tuple[int, int]]]:
    """relation -> the sentence templates that belong to a split; those of other splits are never used."""
    return {
        relation: wording.list_owned_pairs(split, len(wordings), len(wording.FRAMES))
        for relation, wordings in wording.WORDINGS.items()
    }


# Words.


def get_sentence_order(state: State) -> list[int]:
    return list(state.get("told", range(len(state["quantities"]))))


def list_people(state: State) -> list[str]:
    """All people of the problem, including those of distractors."""
    asides = state.get("asides", [])
    sources = [person for aside in asides for person in aside["entry"].get("of", []) if isinstance(person, str)]
    return [*state["people"], *(a["person"] for a in asides), *sources, *(p for _, p in state.get("strays", []))]


def get_asked_quantity(state: State) -> int:
    return state.get("asked", len(state["quantities"]) - 1)


def render_sentences(state: State) -> list[str]:
    """The sentences of the problem in order, the question last."""
    people, asides, strays = state["people"], state.get("asides", []), dict(state.get("strays", []))
    sentences = []
    for place, i in enumerate([*get_sentence_order(state), None]):
        sentences += [_render_sentence(state, a["person"], a["entry"]) for a in asides if a["before"] == place]
        if i is not None:
            sentences.append(_render_sentence(state, strays.get(i, people[i]), state["quantities"][i]))
    if "final" in state:
        last = len(state["quantities"]) - 1
        entry = {"relation": "given", "number": compute_values(state)[last], "template": state["final"]["template"]}
        sentences.append(_render_sentence(state, people[last], entry))
    ask = {"relation": "question", "template": state["question"]} | state.get("asking", {})
    return [*sentences, _render_sentence(state, people[get_asked_quantity(state)], ask)]


def _render_sentence(state: State, person: str, entry: Mapping[str, Any]) -> str:
    verb, unit = wording.VERBS[state["story"][0]], state.get("unit") or wording.UNITS[state["story"][1]]
    words = {"verb": verb, "unit": unit, "t": person, "n": entry.get("number")}
    words |= dict(
        zip("sr", (state["people"][j] if isinstance(j, int) else j for j in entry.get("of", [])), strict=False)
    )
    form = entry.get("fresh") or (entry["measure"]["form"] if "measure" in entry else None)
    if form is None:
        return wording.render_sentence(entry["relation"], tuple(entry["template"]), **words)
    if "measure" in entry:
        words["n"] = entry["number"] // entry["measure"]["size"]
    text = form.format(**words)
    return text[0].upper() + text[1:] + ("" if text.endswith(("?", ".")) else ".")


def render(state: State) -> tuple[str, list[Step], str]:
    """(question, steps, answer) of a state."""
    steps, answer = solve(state)
    return apply_edits(" ".join(render_sentences(state)), state.get("edits", [])), steps, answer


# The solution, from the sentences alone.


def iterate_equations(state: State) -> Iterator[Equation]:
    """The equations of the sentences, in the order of the people."""
    for i in sorted({*get_sentence_order(state)} - {i for i, _ in state.get("strays", [])}):
        entry = state["quantities"][i]
        measure = entry.get("measure")
        measured = (entry["number"] // measure["size"], measure["unit"], measure["size"]) if measure else None
        if entry["relation"] == "given":
            yield Equation(i, other=entry["number"], measured=measured)
        elif len(sources := entry["of"]) == 2:
            yield Equation(i, sources[0], "+", sources[1], joint=True)
        else:
            yield Equation(i, sources[0], wording.OPERATIONS[entry["relation"]], get_operand(entry), measured=measured)
    if "final" in state:
        last = len(state["quantities"]) - 1
        yield Equation(last, other=compute_values(state)[last])


def solve(state: State) -> tuple[list[Step], str]:
    """(steps, answer): the steps to the target, `#### answer` last; N/A where the target cannot be derived."""
    goal, people = get_asked_quantity(state), state["people"]
    derived_values: dict[int, tuple[int, str, tuple[int, ...]]] = {}  # person -> value, line, people it depends on
    equations = list(iterate_equations(state))
    while goal not in derived_values:
        next_result = next(
            ((at, result) for at, eq in enumerate(equations) if (result := _derive_value(eq, derived_values, people))),
            None,
        )
        if next_result is None:
            break
        at, (person, value, line, sources) = next_result
        derived_values[person] = value, line, sources
        equations.pop(at)
    lines = [
        Step(text=derived_values[i][1], value=str(derived_values[i][0]))
        for i in derived_values
        if goal not in derived_values or i in _find_needed(goal, derived_values)
    ]
    if goal not in derived_values:
        unknown = Step(text=f"We do not know how many {people[goal]} has.")
        return [*lines, unknown, Step(text="#### N/A", value="N/A")], "N/A"
    answer = str(derived_values[goal][0])
    return [*lines, Step(text=f"#### {answer}", value=answer)], answer


def _find_needed(goal: int, derived_values: Mapping[int, tuple]) -> set[int]:
    needed, stack = set(), [goal]
    while stack:
        person = stack.pop()
        needed.add(person)
        stack += derived_values[person][2]
    return needed


def _derive_value(
    eq: Equation, derived_values: Mapping[int, tuple], people: list[str]
) -> tuple[int, int, str, tuple] | None:
    """(person, value, line, people it depends on) where the equation has exactly one unknown, else None."""
    if eq.source is None:
        if eq.person in derived_values:
            return None
        name, size = people[eq.person], eq.measured
        if not size:
            return eq.person, eq.other, f"We know {name} has {eq.other}.", ()
        product = f"{size[0]} * {size[2]} = <<{size[0]}*{size[2]}={eq.other}>>{eq.other}"
        return eq.person, eq.other, f"We know {name} has {size[0]} {size[1]}: {product}, so {name} has {eq.other}.", ()
    parts = (eq.person, eq.source, eq.other) if eq.joint else (eq.person, eq.source)
    unknown = [person for person in parts if person not in derived_values]
    if len(unknown) != 1 or parts.count(unknown[0]) != 1:
        return None
    person = unknown[0]
    if person == eq.person:
        left_person, operation, right = eq.source, eq.operation, eq.other
    else:  # the other way round: invert the operation
        left_person, operation = eq.person, INVERSE[eq.operation]
        right = (eq.other if person == eq.source else eq.source) if eq.joint else eq.other
    first, second = derived_values[left_person][0], derived_values[right][0] if eq.joint else right
    result = apply(operation, first, second)
    if result is None:
        raise NotApplicable(f"{first} {operation} {second} is not a whole number")
    recalled = f"{people[left_person]} has {first}" + (f", {people[right]} has {second}" if eq.joint else "")
    if eq.measured:
        k, unit, size = eq.measured
        recalled += f", {k} {unit} is {k} * {size} = <<{k}*{size}={second}>>{second}"
    name, term = people[person], people[right] if eq.joint else second
    equation = f"{first} {operation} {second} = <<{first}{operation}{second}={result}>>{result}"
    line = f"Then {name} has {people[left_person]} {operation} {term}: {recalled}, {equation}, so {name} has {result}."
    return person, result, line, tuple(p for p in parts if p != person)
