"""A premise removed, so that the answer is no longer determined: it is N/A.

The proof is two completions: what is told is true of both, the value that is not told differs, and so does the answer. A
sentence of a bundled problem is told of somebody else, who plays no part: as many sentences in the same words. A real
problem loses a number before the things it counts, or a sentence that tells how much each of something costs or holds;
never one that tells an event, without which the story would go on and have another answer. No word (some, several) is put
in place: such words would tell which problems are unsolvable. That a number is missing still does, a little: a bag of
words finds 62 % of them, and 51 % once the numbers of all problems are hidden from it.
"""

from __future__ import annotations

import copy
import itertools
import random
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from stages.lib.gradeschool import wording
from stages.lib.lifting import programs, quantities
from stages.ood.operators import names, numbers, retold, tale
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
    pool = names.ROLES if state["people"][0] in names.ROLES else wording.NAMES
    strangers = [name for name in pool if name not in tale.named(state)]
    for i in able:
        of = rng.choice(strangers)
        if tale.solve(_apply_sentence(state, {"removed": i, "person": of}))[1] != "N/A":
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
            return {"removed": i, "person": of, "completions": [[known[i], known[-1]], rng.choice(near)]}
    raise Unfit("no sentence whose loss leaves two answers")


def _apply_sentence(state: State, parameters: Mapping[str, Any]) -> State:
    state = copy.deepcopy(state)
    state["strays"] = [*state.get("strays", []), [parameters["removed"], parameters["person"]]]
    return state


# Before a number that stands without any of these, and before things, the number can be left out: `Tom buys 5 red
# apples` becomes `Tom buys red apples`, which says nothing of how many. No word marks the gap.
_DETERMINED = re.compile(
    r"\b(the|these|those|his|her|its|their|my|our|your|all|other|next|last|first|least|most|only|another|every|each|"
    r"exactly|than|about|approximately|around|nearly|almost|over|additional|remaining|extra|of|is|are|was|were|by|a|an|"
    r"up|at|just|same|and|or|to|between|any|per|these|more|after|within|every|takes?|took|spends?|spent|lasts?|total)\s*$"
    r"|[$\d-]\s*$|[.!?:;]\s*$",
    re.I,
)
_THINGS = re.compile(
    r" ((?:[a-z]+ )?(?:[a-z]{2,}s|people|children|men|women|sheep|fish|mice|geese|feet|teeth))\b"
    r"(?!-|\w|'| (?:times|as|more|less|fewer|old|older|younger|per|a|an|each|every|ago|apart|later|long|tall|wide|deep)\b)"
)
_ASKED = re.compile(r"\b(how|what|find|calculate)\b", re.I)
_UNCOUNTED = re.compile(
    r"\b(times|less|plus|is|was|as|has|its|his|this|us|s|degrees|percents|hundreds|thousands|millions|dozens|pairs|"
    r"seconds|minutes|hours|days|weeks|months|years|decades|inches|feet|yards|miles|meters|metres|centimeters|kilometers|"
    r"ounces|pounds|tons|grams|kilograms|milligrams|liters|litres|milliliters|gallons|quarts|pints|cups|tablespoons|"
    r"teaspoons|dollars|cents|euros|calories|mph|points|percent|units|weekdays|mornings|nights|evenings)\b"
    r"|\b(more|less|fewer|of|and|or|to|in|on|for|were|are|as|kg|mg|g|km|cm|mm|ml|lb|oz|ft|inch|foot|yard|mile|meter|"
    r"pound|ounce|gram|liter|gallon|quart|pint|cup|dollar|cent|minute|hour|day|week|month|year)\b"
)
_RATE = re.compile(
    r"(?:Each|Every|An?|One|The (?:price|cost)|It costs|Tickets|[A-Z][a-z]+s cost)\b[^%]*?"
    r"(?:costs?|weighs?|holds?|contains?|has|have|is worth|is|sells? for|earns?|makes?|produces?|eats?|uses?|needs?)"
    r"\b[^%]*\.$"
)
_LEANS = re.compile(
    r"(?:(?:\S+ ){0,2}?(?:he|she|it|they|his|her|its|their|this|that|these|those|them|both)\b|(?:then|but|however|also|"
    r"so|if|(?:\S+ ){1,3}also|after|since|because|in addition|another|finally|later|next)\b)",
    re.I,
)
_EVENT = re.compile(
    r"\b(if|when|after|then|until|once|more|fewer|less|twice|half|times|discount|extra|other|legs?|wheels?)\b"
)


def _draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    places, values = numbers.changeable(state), programs.numbers(state)
    single = [i for i in places if values.count(values[i]) == 1 and values[i].denominator == 1]
    able = [*_uncounted(state, single), *_untold(state, single)]
    if not able:
        raise Unfit("every number is tied to what stands around it")
    answer = Fraction(programs.render(state)[2])
    for gap in rng.sample(able, len(able)):
        i = gap["number"]
        if "dropped" not in gap and recoverable(values, i):
            continue
        most = int(values[i]) * 3 + 10
        for other in rng.sample(range(2, most), min(200, most - 2)):
            new = [Fraction(other) if j == i else value for j, value in enumerate(values)]
            if other != values[i] and numbers.fits(state, new):
                now = programs.results(state, new)[state["answer"]["step"]]
                return gap | {"completions": [[str(values[i]), str(answer)], [str(other), str(now)]]}
    raise Unfit("no number can be left open for certain")


def _uncounted(state: State, single: list[int]) -> list[dict[str, Any]]:
    """Numbers that can be left out before what they count."""
    parts, able = state["question"], []
    asked = len(retold.text(parts)) - len(retold.text(retold.sentences(parts)[-1]))
    for at, part in enumerate(parts[:-1]):
        if isinstance(part, str) or part["is"]["number"] not in single or not at or not isinstance(parts[at - 1], str):
            continue
        things = _THINGS.match(parts[at + 1]) if isinstance(parts[at + 1], str) else None
        if _ASKED.search(retold.text(parts[:at])[asked:]):  # how much was in [three] bags: may be read of one
            continue
        if things and not _UNCOUNTED.search(things[1]) and not _DETERMINED.search(parts[at - 1]):
            able.append({"number": part["is"]["number"], "noun": things[1]})
    return able


def _untold(state: State, single: list[int]) -> list[dict[str, Any]]:
    """Sentences that tell no event but how much each of something costs, holds or weighs: the story does not miss
    them, only the answer does."""
    found, able = retold.sentences(state["question"]), []
    for at, sentence in enumerate(found[:-1]):
        inside = [part["is"]["number"] for part in sentence if isinstance(part, dict)]
        said = retold.text(sentence)
        if not _RATE.match(said) or _EVENT.search(said) or not inside or not set(inside) <= set(single):
            continue
        if _LEANS.match(retold.text(found[at + 1])) or (at == 0 and len(found) < 3):
            continue
        if len(inside) == 1 and _multiplied(state, inside[0]) and not _usual(state, inside[0], said):
            able.append({"number": inside[0], "dropped": at})
    return able


def _multiplied(state: State, i: int) -> bool:
    """Whether a number enters products and quotients only: a story that does not tell it cannot be computed."""
    uses = [a["expression"] for a in state["annotations"] if any(ref.get("number") == i for ref in _refs(a))]
    return bool(uses) and all({"*", "/"} & {piece for piece in use if isinstance(piece, str)} for use in uses)


def _refs(annotation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [piece["is"] for piece in annotation["expression"] if isinstance(piece, dict)]


def _usual(state: State, i: int, said: str) -> bool:
    """Whether a reader knows the number anyway (days in a week)."""
    names = quantities.constants(programs.numbers(state)[i], said)
    return any(not name.startswith(("one, or", "two: both", "percent", "one percent")) for name in names)


def recoverable(values: list[Fraction], i: int) -> bool:
    """Whether a number might be worked out from two others of the question."""
    rest = [value for j, value in enumerate(values) if j != i]
    return any(
        values[i] in (a + b, abs(a - b), a * b, *([a / b] if b else []), *([b / a] if a else []))
        for a, b in itertools.combinations(rest, 2)
    )


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "withheld": {key: parameters[key] for key in ("number", "noun", "dropped") if key in parameters}}


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
