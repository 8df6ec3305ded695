"""Operator `premise`: a premise is removed, so the answer is not determined and becomes N/A.

Each such problem has a twin (`~kept`) with the same surface, the premise and the parent's answer. Both allow N/A. The
proof is two completions: both agree with the text, the removed value differs, and so does the answer.

gradeschool  a sentence is about a new person instead of its own, and two distractors about that person follow. The twin
             keeps the sentence. Both have the same words and as many names that occur once.
lifted       a number before a counted noun is deleted. No word (some, several) replaces it, since such a word would mark
             the unsolvable problems. Before both twins stands an introduction with some counted and some uncounted
             things, so that neither a noun without a number nor the count of numbers gives the answer away.
competition  a number becomes a letter with two dependent equations (`unknowns.py`)
"""

from __future__ import annotations

import copy
import itertools
import random
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from stages.lib.operators import names, numbers, unknowns
from stages.lib.operators.programs import competition_program, competition_unknowns, gsm8k_program
from stages.lib.operators.programs.base import Change, Knobs, NotApplicable, Operator, State, words
from stages.lib.procedural.gradeschool import variation, wording
from stages.lib.procedural.lifting import programs

MAX_COMPLETION = 600  # values tried for the second completion


def solve_with_value(state: State, i: int, value: int) -> int:
    """The answer if quantity i, which has no sentence, has this value. Raises NotApplicable where a quantity would not be a
    positive integer."""
    values: list[int] = []
    for j, entry in enumerate(state["quantities"]):
        values.append(value if j == i else variation.compute_value(entry, values))
        if values[j] < 1:
            raise NotApplicable("not above 0")
    return values[-1]


def _draw_sentence(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    values, order = variation.compute_values(state), variation.get_sentence_order(state)
    uses = [sum(entry.get("of", []).count(i) for entry in state["quantities"]) for i in range(len(values))]
    # The target must keep a sentence. Who is named once elsewhere occurs once without the sentence, as the new person
    # does in the twin.
    candidates = [i for i in range(len(values) - 1) if uses[i] == 1]
    rng.shuffle(candidates)
    pools = (names.ROLE_NAMES, wording.NAMES, names.UNSEEN_NAMES, (*names.NEW_FEMALE_NAMES, *names.NEW_MALE_NAMES))
    pool = next(pool for pool in pools if state["people"][0] in pool)
    people = rng.sample([name for name in pool if name not in variation.list_people(state)], 3)
    largest = variation.get_bound(state, knobs)
    for i in candidates:
        if variation.solve(_apply_sentence(state, {"removed": i, "person": people[0], "asides": []}))[1] != "N/A":
            continue
        others = []
        for value in range(1, MAX_COMPLETION):
            try:
                answer = solve_with_value(state, i, value)
            except NotApplicable:
                continue
            if value != values[i] and answer != values[-1]:
                others.append([value, answer])
        nearest = sorted(others, key=lambda pair: abs(pair[0] - values[i]))[:5]
        if nearest:
            before = sorted(rng.choices(range(order.index(i) + 1, len(order) + 1), k=2))
            return {
                "removed": i,
                "person": people[0],
                "asides": _draw_comparisons(state, people, values[i], largest, before, rng),
                "completions": [[values[i], values[-1]], rng.choice(nearest)],
            }
    raise NotApplicable("no sentence whose loss leaves two answers")


def _draw_comparisons(
    state: State, people: list[str], value: int, largest: int, before: list[int], rng: random.Random
) -> list[dict[str, Any]]:
    """Distractors about two more people: the first is compared with the new person, the second with the first."""
    asides, templates = [], variation.list_templates(state["split"])
    for source, person, place in zip(people, people[1:], before, strict=False):
        entry = variation.draw_relation(0, value, largest, templates, rng)
        value = variation.compute_value(entry, [value])
        asides.append({"person": person, "entry": entry | {"of": [source]}, "before": place})
    return asides


def _apply_sentence(state: State, parameters: Mapping[str, Any]) -> State:
    state = copy.deepcopy(state)
    if not parameters.get("kept"):
        state["strays"] = [*state.get("strays", []), [parameters["removed"], parameters["person"]]]
    state["asides"] = [*state.get("asides", []), *map(dict, parameters["asides"])]
    return state


# A number before a noun can be deleted where none of these is before it: `Tom buys 5 red apples` becomes `Tom buys red
# apples`, which leaves the number open. No word marks the gap.
_DETERMINERS = re.compile(
    r"\b(the|these|those|his|her|its|their|my|our|your|all|other|next|last|first|least|most|only|another|every|each|"
    r"exactly|than|about|approximately|around|nearly|almost|over|additional|remaining|extra|of|is|are|was|were|by|a|an|"
    r"up|at|just|same|and|or|to|between|any|per|these|more|after|within|every|takes?|took|spends?|spent|lasts?|total)\s*$"
    r"|[$\d-]\s*$|[.!?:;]\s*$|^\s*$",
    re.I,
)
_COUNTED_NOUN = re.compile(
    r" ((?:[a-z]+ )?(?:[a-z]{2,}s|people|children|men|women|sheep|fish|mice|geese|feet|teeth))\b"
    r"(?!-|\w|'| (?:times|as|more|less|fewer|old|older|younger|per|a|an|each|every|ago|apart|later|long|tall|wide|deep)\b)"
)
_QUESTION_WORD = re.compile(r"\b(how|what|find|calculate)\b", re.I)
_UNCOUNTED = re.compile(
    r"\b(times|less|plus|is|was|as|has|its|his|this|us|s|degrees|percents|hundreds|thousands|millions|dozens|pairs|"
    r"seconds|minutes|hours|days|weeks|months|years|decades|inches|feet|yards|miles|meters|metres|centimeters|kilometers|"
    r"ounces|pounds|tons|grams|kilograms|milligrams|liters|litres|milliliters|gallons|quarts|pints|cups|tablespoons|"
    r"teaspoons|dollars|cents|euros|calories|mph|points|percent|units|weekdays|mornings|nights|evenings)\b"
    r"|\b(more|less|fewer|of|and|or|to|in|on|for|were|are|as|kg|mg|g|km|cm|mm|ml|lb|oz|ft|inch|foot|yard|mile|meter|"
    r"pound|ounce|gram|liter|gallon|quart|pint|cup|dollar|cent|minute|hour|day|week|month|year)\b"
)
_PEOPLE = re.compile(r"\b(people|guests|students|children|kids|friends|members|players|passengers|customers|workers)$")
_PRONOUN = re.compile(r"(he|she|it|they|his|her|its|their|this|these)\b", re.I)
INTRO_ITEMS = words("castles crowns swords towers shields palaces harps thrones banners carriages falcons lances")
INTRO_LENGTH = 4


def _draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    places, values = numbers.find_changeable(state), programs.list_numbers(state)
    doubtful = programs.find_ambiguous(state)
    single = [i for i in places if values.count(values[i]) == 1 and values[i].denominator == 1 and i not in doubtful]
    candidates = _find_removable(state, single)
    if not candidates:
        raise NotApplicable("every number is tied to what stands around it")
    answer = Fraction(programs.render_program(state)[2])
    for removal in rng.sample(candidates, len(candidates)):
        i = removal["number"]
        if is_recoverable(values, i):
            continue
        limit = int(values[i]) * 3 + 10
        for other in rng.sample(range(2, limit), min(200, limit - 2)):
            new = [Fraction(other) if j == i else value for j, value in enumerate(values)]
            if other != values[i] and numbers.is_plausible(state, new):
                now = programs.compute_results(state, new)[state["answer"]["step"]]
                completions = [[str(values[i]), str(answer)], [str(other), str(now)]]
                return removal | {"tales": _draw_intros(state, rng), "completions": completions}
    raise NotApplicable("no number can be left open for certain")


def _draw_intros(state: State, rng: random.Random) -> list[str]:
    """The sentences before the problem and before its twin. In half of all problems the first counts one thing more."""
    question = gsm8k_program.render_parts(state["question"])
    if _PRONOUN.match(question) or re.search(rf"\bking|{'|'.join(INTRO_ITEMS)}", question):
        raise NotApplicable("a tale in front would be taken for a part of the problem")
    things, numbered = rng.sample(INTRO_ITEMS, INTRO_LENGTH), rng.sample(range(INTRO_LENGTH), INTRO_LENGTH)
    counts = rng.choices(list(numbers.NUMBER_FREQUENCY), list(numbers.NUMBER_FREQUENCY.values()), k=INTRO_LENGTH)
    counted = rng.randrange(INTRO_LENGTH)

    def render(counted: int) -> str:
        listed = [f"{counts[i]} {things[i]}" if i in numbered[:counted] else things[i] for i in range(INTRO_LENGTH)]
        return f"An old tale tells of a king with {', '.join(listed[:-1])} and {listed[-1]}."

    return [render(counted + rng.randrange(2)), render(counted)]


def _find_removable(state: State, single: list[int]) -> list[dict[str, Any]]:
    """Numbers that can be deleted before the noun that they count."""
    parts, removable = state["question"], []
    text = gsm8k_program.render_parts(parts)
    question_start = len(text) - len(gsm8k_program.render_parts(gsm8k_program.split_sentences(parts)[-1]))
    for at, part in enumerate(parts[:-1]):
        if isinstance(part, str) or part["is"]["number"] not in single or not at or not isinstance(parts[at - 1], str):
            continue
        noun = _COUNTED_NOUN.match(parts[at + 1]) if isinstance(parts[at + 1], str) else None
        # `how much was in [three] bags` may be understood of one bag
        if _QUESTION_WORD.search(gsm8k_program.render_parts(parts[:at])[question_start:]):
            continue
        if noun and _PEOPLE.search(noun[1]) and text.count(noun[1].split()[-1]) > 1:
            continue  # those who come may be those who were invited
        if noun and not _UNCOUNTED.search(noun[1]) and not _DETERMINERS.search(parts[at - 1]):
            removable.append({"number": part["is"]["number"], "noun": noun[1]})
    return removable


def is_recoverable(values: list[Fraction], i: int) -> bool:
    """Whether a number might be computed from two others of the question."""
    rest = [value for j, value in enumerate(values) if j != i]
    return any(
        values[i] in (a + b, abs(a - b), a * b, *([a / b] if b else []), *([b / a] if a else []))
        for a, b in itertools.combinations(rest, 2)
    )


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    if parameters.get("kept"):
        return {**state, "tale": parameters["tales"][1]}
    return {**state, "tale": parameters["tales"][0], "withheld": {key: parameters[key] for key in ("number", "noun")}}


# Checks of the proof that the answer is not determined.


def _check_sentence_proof(state: State, change: Mapping[str, Any]) -> list[str]:
    return _find_faults(change, lambda value: solve_with_value(state, change["removed"], value))


def _check_proof(state: State, change: Mapping[str, Any]) -> list[str]:
    def answer(value: str) -> str:
        values = [Fraction(value) if i == change["number"] else v for i, v in enumerate(programs.list_numbers(state))]
        return str(programs.compute_results(state, values)[state["answer"]["step"]])

    return _find_faults(change, answer)


def _find_faults(change: Mapping[str, Any], answer: Callable[[Any], Any]) -> list[str]:
    (first, first_answer), (second, second_answer) = change["completions"]
    if first == second or first_answer == second_answer:
        return ["the completions do not differ"]
    claims = ((first, first_answer), (second, second_answer))
    return [f"with {value} the answer is not {claimed}" for value, claimed in claims if answer(value) != claimed]


def _check_competition_proof(state: State, change: Mapping[str, Any]) -> list[str]:
    original, other = (competition_program.build_plain_problem(state, params) for params in (None, change["other"]))
    return competition_unknowns.check_proof(original, other, change)


OPERATOR = Operator(
    "premise",
    "unsolvable",
    {
        "gradeschool": Change(_draw_sentence, _apply_sentence, _check_sentence_proof),
        "lifted": Change(_draw, _apply, _check_proof),
        "competition": Change(unknowns.make_draw(True), unknowns.apply, _check_competition_proof),
    },
)
