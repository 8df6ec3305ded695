"""Grade-school programs as sentences that hold together: equations over people, told in any order, asked anywhere.

A state is a program of `lib/gradeschool` with further keys, all optional:
  told      which quantities have their sentence told, in the order of the telling (default: all, in order)
  asides    extra quantities nobody needs: {"person", "entry", "before"}, told before the `before`-th told sentence; their
            sources may be people by name
  strays    [quantity, person]: its sentence is told of that person, who plays no part (`premise.py`)
  asked     the quantity asked for (default: the last)
  final     {"template"}: the value of the last quantity is told, in the words of that template
  unit      the things counted, in place of the story's
  edits     typographical noise, made last (`noise.py`)
An entry may carry `fresh` (a wording of `phrasing.py`) or `measure` (`units.py`).

`solve` knows nothing of the order in which a program was sampled: it collects the equations that are told and derives,
one person a line, what follows from them until the asked value is there. On an unchanged program it writes the very
lines of `gradeschool.solve`, by another road, so each checks the other; where a premise is missing it gets stuck.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from stages.lib.core.records import Step
from stages.lib.procedural.gradeschool import wording
from stages.lib.procedural.gradeschool.program import apply
from stages.problems.ood.programs.base import Knobs, NotApplicable, State, apply_edits

INVERSE = {"+": "-", "-": "+", "*": "/", "/": "*"}
DEFAULT_BOUND = 60  # the bound on values that the benchmark has in every preset
MAX_ADDEND = 99  # the largest number that the benchmark adds or takes away


class Equation(NamedTuple):
    """person = source operation other; `other` is a person (its index) where `joint`, else a number. A given value
    has no source. `measured` is (how many, unit, size) of a number that is told in a unit."""

    person: int
    source: int | None = None
    operation: str = ""
    other: int = 0
    joint: bool = False
    measured: tuple[int, str, int] | None = None


# Numbers: the law by which the benchmark draws them.


def list_operands(relation: str, value: int, largest: int, addend: int = MAX_ADDEND) -> list[tuple[int | str, int]]:
    """What may be said after `relation` to a quantity of `compute_value` so that 1 < result <= largest: (as said, as used)."""
    operation = wording.OPERATIONS[relation]
    if operation == "+":
        choices = range(2, min(addend, largest - value) + 1)
    elif operation == "-":
        choices = range(2, min(addend, value - 2) + 1)
    elif operation == "*":
        choices = range(2, min(9, largest // max(1, value)) + 1)
    else:
        choices = [n for n in range(2, 10) if value % n == 0 and value // n >= 2]
    if relation.endswith("part"):
        return [(word, n) for word, n in wording.FRACTION_DIVISORS.items() if n in choices]
    if relation == "percent":
        return [(p, n) for p, n in wording.PERCENT_DIVISORS.items() if value % n == 0 and value // n >= 2]
    return [(n, n) for n in choices]


def get_operand(entry: Mapping[str, Any]) -> int:
    """The number of an entry as its operation takes it: a third is 3, 25 percent is 4."""
    said = entry["number"]
    if isinstance(said, str):
        return wording.FRACTION_DIVISORS[said]
    return wording.PERCENT_DIVISORS[said] if entry["relation"] == "percent" else said


def compute_values(state: State) -> list[int]:
    """The value of every quantity, in order. Raises NotApplicable where one is not a whole number above 0."""
    known: list[int] = []
    for i, entry in enumerate(state["quantities"]):
        known.append(compute_value(entry, known))
        if known[i] < 1:
            raise NotApplicable(f"quantity {i} would be {known[i]}")
    return known


def compute_value(entry: Mapping[str, Any], known: list[int]) -> int:
    """The value of an entry whose sources are known. Raises NotApplicable where it is not a whole number."""
    if entry["relation"] == "given":
        return entry["number"]
    of = entry["of"]
    result = apply(
        wording.OPERATIONS[entry["relation"]], known[of[0]], known[of[1]] if len(of) == 2 else get_operand(entry)
    )
    if result is None:
        raise NotApplicable("a value would not be a whole number")
    return result


def draw_relation(
    source: int, known: int, largest: int, templates: Mapping[str, list], rng: random.Random
) -> dict[str, Any]:
    """A new relation to quantity `source`, drawn by the benchmark's law, told in one of `list_templates`."""
    kinds = (("more", "fewer", "gain", "loss"), ("times", "groups"), ("part", "percent", "share"))
    while True:
        relation = rng.choice(rng.choices(kinds, (0.5, 0.25, 0.25))[0])
        choices = list_operands(relation, known, largest)
        if choices:
            said = rng.choice(choices)[0]
            return {
                "relation": relation,
                "of": [source],
                "number": said,
                "template": list(rng.choice(templates[relation])),
            }


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
    """The sentence templates that a split owns; no other split's are ever used."""
    return {
        relation: wording.list_owned_pairs(split, len(wordings), len(wording.FRAMES))
        for relation, wordings in wording.WORDINGS.items()
    }


# Words.


def get_sentence_order(state: State) -> list[int]:
    return list(state.get("told", range(len(state["quantities"]))))


def list_people(state: State) -> list[str]:
    """All people of the problem, those included who play no part."""
    asides = state.get("asides", [])
    sources = [of for aside in asides for of in aside["entry"].get("of", []) if isinstance(of, str)]
    return [*state["people"], *(a["person"] for a in asides), *sources, *(p for _, p in state.get("strays", []))]


def get_asked_quantity(state: State) -> int:
    return state.get("asked", len(state["quantities"]) - 1)


def render_sentences(state: State) -> list[str]:
    """The sentences of the problem in the order of the telling, the question last."""
    people, asides, strays = state["people"], state.get("asides", []), dict(state.get("strays", []))
    said = []
    for place, i in enumerate(get_sentence_order(state)):
        said += [
            _render_sentence(state, aside["person"], aside["entry"]) for aside in asides if aside["before"] == place
        ]
        said.append(_render_sentence(state, strays.get(i, people[i]), state["quantities"][i]))
    said += [
        _render_sentence(state, aside["person"], aside["entry"])
        for aside in asides
        if aside["before"] == len(get_sentence_order(state))
    ]
    if "final" in state:
        last = len(state["quantities"]) - 1
        entry = {"relation": "given", "number": compute_values(state)[last], "template": state["final"]["template"]}
        said.append(_render_sentence(state, people[last], entry))
    ask = {"relation": "question", "template": state["question"]} | state.get("asking", {})
    return [*said, _render_sentence(state, people[get_asked_quantity(state)], ask)]


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


# The solution, from what is told alone.


def iterate_equations(state: State) -> Iterator[Equation]:
    """What the told sentences say, in the order of the people."""
    for i in sorted({*get_sentence_order(state)} - {i for i, _ in state.get("strays", [])}):
        entry = state["quantities"][i]
        measure = entry.get("measure")
        measured = (entry["number"] // measure["size"], measure["unit"], measure["size"]) if measure else None
        if entry["relation"] == "given":
            yield Equation(i, other=entry["number"], measured=measured)
        elif len(of := entry["of"]) == 2:
            yield Equation(i, of[0], "+", of[1], joint=True)
        else:
            yield Equation(i, of[0], wording.OPERATIONS[entry["relation"]], get_operand(entry), measured=measured)
    if "final" in state:
        last = len(state["quantities"]) - 1
        yield Equation(last, other=compute_values(state)[last])


def solve(state: State) -> tuple[list[Step], str]:
    """(lines, answer): the lines that lead to the asked value, `#### answer` last. `N/A` where nothing leads there."""
    goal, people = get_asked_quantity(state), state["people"]
    known: dict[int, tuple[int, str, tuple[int, ...]]] = {}  # person -> value, line, the people it was derived from
    open_ = list(iterate_equations(state))
    while goal not in known:
        derived = next(
            ((at, found) for at, eq in enumerate(open_) if (found := _derive_value(eq, known, people))), None
        )
        if derived is None:
            break
        at, (person, *found) = derived
        known[person] = tuple(found)
        open_.pop(at)
    lines = [
        Step(text=known[i][1], value=str(known[i][0]))
        for i in known
        if goal not in known or i in _find_needed(goal, known)
    ]
    if goal not in known:
        unknown = Step(text=f"We do not know how many {people[goal]} has.")
        return [*lines, unknown, Step(text="#### N/A", value="N/A")], "N/A"
    answer = str(known[goal][0])
    return [*lines, Step(text=f"#### {answer}", value=answer)], answer


def _find_needed(goal: int, known: Mapping[int, tuple]) -> set[int]:
    needed, stack = set(), [goal]
    while stack:
        person = stack.pop()
        needed.add(person)
        stack += known[person][2]
    return needed


def _derive_value(eq: Equation, known: Mapping[int, tuple], people: list[str]) -> tuple[int, int, str, tuple] | None:
    """(person, value, line, people it rests on) where the equation has exactly one unknown, else None."""
    if eq.source is None:
        if eq.person in known:
            return None
        name, size = people[eq.person], eq.measured
        if not size:
            return eq.person, eq.other, f"We know {name} has {eq.other}.", ()
        product = f"{size[0]} * {size[2]} = <<{size[0]}*{size[2]}={eq.other}>>{eq.other}"
        return eq.person, eq.other, f"We know {name} has {size[0]} {size[1]}: {product}, so {name} has {eq.other}.", ()
    parts = (eq.person, eq.source, eq.other) if eq.joint else (eq.person, eq.source)
    unknown = [person for person in parts if person not in known]
    if len(unknown) != 1 or parts.count(unknown[0]) != 1:
        return None
    person = unknown[0]
    if person == eq.person:
        left, operation, right = eq.source, eq.operation, eq.other
    else:  # told the other way round: the operation is undone
        left, operation = eq.person, INVERSE[eq.operation]
        right = (eq.other if person == eq.source else eq.source) if eq.joint else eq.other
    first, second = known[left][0], known[right][0] if eq.joint else right
    result = apply(operation, first, second)
    if result is None:
        raise NotApplicable(f"{first} {operation} {second} is not a whole number")
    recalled = f"{people[left]} has {first}" + (f", {people[right]} has {second}" if eq.joint else "")
    if eq.measured:
        k, unit, size = eq.measured
        recalled += f", {k} {unit} is {k} * {size} = <<{k}*{size}={second}>>{second}"
    name, term = people[person], people[right] if eq.joint else second
    equation = f"{first} {operation} {second} = <<{first}{operation}{second}={result}>>{result}"
    line = f"Then {name} has {people[left]} {operation} {term}: {recalled}, {equation}, so {name} has {result}."
    return person, result, line, tuple(p for p in parts if p != person)
