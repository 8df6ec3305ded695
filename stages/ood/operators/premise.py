"""A premise removed, so that the answer is no longer determined: it is N/A.

The proof is two completions: what is told is true of both, the removed value differs, and so does the answer. A
bundled problem loses a whole sentence. A real problem keeps its sentences, with a vague word for one number that
cannot be told from the others.
"""

from __future__ import annotations

import copy
import itertools
import random
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from stages.lib.lifting import programs
from stages.ood.operators import numbers, tale
from stages.ood.operators.operator import Change, Operator, State, Unfit

FURTHEST = 600  # values tried for the second completion


def completed(state: State, i: int, value: int) -> int:
    """The answer when quantity i, whose sentence is not told, has a value. Raises Unfit where it leaves the whole
    numbers above 0."""
    known: list[int] = []
    for j, entry in enumerate(state["quantities"]):
        known.append(value if j == i else tale.value(entry, known))
        if known[j] < 1:
            raise Unfit("not above 0")
    return known[-1]


def _draw_sentence(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    known = tale.values(state)
    able = list(
        range(len(known) - 1)
    )  # the last sentence is about the one asked for: without it nothing is told of them
    rng.shuffle(able)
    for i in able:
        if tale.solve(_apply_sentence(state, {"removed": i}))[1] != "N/A":
            continue
        others = []
        for value in range(1, FURTHEST):
            try:
                answer = completed(state, i, value)
            except Unfit:
                continue
            if value != known[i] and answer != known[-1]:
                others.append([value, answer])
        near = sorted(others, key=lambda pair: abs(pair[0] - known[i]))[:5]
        if near:
            return {"removed": i, "completions": [[known[i], known[-1]], rng.choice(near)]}
    raise Unfit("no sentence whose loss leaves two answers")


def _apply_sentence(state: State, parameters: Mapping[str, Any]) -> State:
    state = copy.deepcopy(state)
    state["told"] = [i for i in tale.told(state) if i != parameters["removed"]]
    return state


_VAGUE = ("some", "several", "a number of", "a few")
_DETERMINED = re.compile(
    r"\b(the|these|those|his|her|its|their|all|other|next|last|first|least|most|only|another|every|each|exactly|than|about|"
    r"approximately|around|nearly|almost|over|additional|remaining|extra|of|is|are|was|were|by|another|a|an|up|at|just|"
    r"same|and|or|to|between|any)\s*$|[$\d-]\s*$",
    re.I,
)
_THINGS = re.compile(
    r" ((?:[a-z]+ )?[a-z]{2,}s)\b(?!-|\w| (?:times|as|more|less|fewer|old|older|younger|per|a|an|each|every|of)\b)"
)
_NOT_PLURAL = re.compile(
    r"\b(times|less|plus|is|was|as|has|its|his|this|us|s|degrees|percents|years|hundreds)$|\b(more|less|fewer|of|and|or|to|in|on|for)\b"
)


def _draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    places, values = numbers.changeable(state), programs.numbers(state)
    parts, able = state["question"], []
    for at, part in enumerate(parts[:-1]):
        if (
            isinstance(part, str)
            or part["is"]["number"] not in places
            or values.count(values[part["is"]["number"]]) > 1
        ):
            continue
        i, after = part["is"]["number"], parts[at + 1]
        before = parts[at - 1] if at and isinstance(parts[at - 1], str) else ""
        things = _THINGS.match(after) if isinstance(after, str) else None
        if not things or _NOT_PLURAL.search(things[1]) or _DETERMINED.search(before) or not before:
            continue
        if values[i].denominator == 1 and not recoverable(values, i):
            able.append((i, things[1]))
    rng.shuffle(able)
    answer = Fraction(programs.render(state)[2])
    for i, noun in able:
        for other in sorted(range(2, int(values[i]) * 3 + 10), key=lambda n: rng.random()):
            new = [Fraction(other) if j == i else value for j, value in enumerate(values)]
            if other != values[i] and numbers.fits(state, new):
                now = programs.results(state, new)[state["answer"]["step"]]
                completions = [[str(values[i]), str(answer)], [str(other), str(now)]]
                return {"number": i, "word": rng.choice(_VAGUE), "noun": noun, "completions": completions}
    raise Unfit("no number can be left open for certain")


def recoverable(values: list[Fraction], i: int) -> bool:
    """Whether a number might be worked out from two others of the question."""
    rest = [value for j, value in enumerate(values) if j != i]
    return any(
        values[i] in (a + b, abs(a - b), a * b, *([a / b] if b else []), *([b / a] if a else []))
        for a, b in itertools.combinations(rest, 2)
    )


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "withheld": {key: parameters[key] for key in ("number", "word", "noun")}}


OPERATOR = Operator(
    "premise", "unsolvable", {"gradeschool": Change(_draw_sentence, _apply_sentence), "lifted": Change(_draw, _apply)},
    "a premise removed",
)  # fmt: skip


# The proof, checked.


def proven_told(state: State, change: Mapping[str, Any]) -> list[str]:
    """Faults of the proof that the answer of a bundled problem is open once `change` is made to `state`."""
    return _faults(change, lambda value: completed(state, change["removed"], value))


def proven(state: State, change: Mapping[str, Any]) -> list[str]:
    """The same of a real problem."""

    def answer(value: str) -> str:
        values = [Fraction(value) if i == change["number"] else v for i, v in enumerate(programs.numbers(state))]
        return str(programs.results(state, values)[state["answer"]["step"]])

    return _faults(change, answer)


def _faults(change: Mapping[str, Any], answer: Callable[[Any], Any]) -> list[str]:
    (first, one), (second, other) = change["completions"]
    if first == second or one == other:
        return ["the completions do not differ"]
    claims = ((first, one), (second, other))
    return [f"with {value} the answer is not {said}" for value, said in claims if answer(value) != said]
