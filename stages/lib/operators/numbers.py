"""Operators `numbers` and `larger`: other numbers of the same magnitude, or larger ones. Another answer is computed.

Bundled problems draw given, added and subtracted numbers again by the benchmark's own distributions; factors, parts and
percents stay. Real problems draw every number from the frequencies with which GSM8K's train questions use such numbers (as
many digits, as round). A dose is the share of the numbers that are drawn again. A draw is kept only if everything that
was whole, positive, below one, or within 100 percent still is, amounts have no more decimals than before, things of one
kind keep their order, and every reading of an ambiguous number gives the same. `larger` does not change real problems:
nobody wears heels of 40 inches.

Competition problems get new parameters from their family (`larger`: of the next level) that pass both solvers. They come
from the half of all problems that contains no item of the run, so that no variant repeats an item of another split.
"""

from __future__ import annotations

import copy
import itertools
import random
import re
from collections.abc import Callable, Mapping, Sequence, Set
from fractions import Fraction
from typing import Any

from stages.lib.core import seeds
from stages.lib.operators.programs import competition_program, gsm8k_program
from stages.lib.operators.programs.base import (
    Change,
    DrawFunction,
    Knobs,
    NotApplicable,
    Operator,
    State,
    select_share,
)
from stages.lib.procedural import competition
from stages.lib.procedural.competition import items
from stages.lib.procedural.gradeschool import variation, wording
from stages.lib.procedural.lifting import programs

MAX_ATTEMPTS = 300  # of a real problem
MAX_DRAWS = 3000  # of a bundled problem: in few draws is every part an integer
MAX_PARAMETER_DRAWS = 400  # of a competition problem
LARGER_FACTOR = 10


def _make_gradeschool_draw(get_bound: Callable[[State, Knobs], int], addend: int) -> DrawFunction:
    def draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
        largest, answer = get_bound(state, knobs), variation.compute_values(state)[-1]
        redrawn = {*select_share(_find_addends(state), knobs["dose"], rng)}
        for _ in range(MAX_DRAWS):
            numbers = _redraw(state, rng, largest, addend, redrawn)
            if numbers and variation.compute_values(_apply_gradeschool(state, {"said": numbers}))[-1] != answer:
                return {"said": numbers, "largest": largest}
        raise NotApplicable(f"no other numbers in {MAX_DRAWS} draws")

    return draw


def _find_addends(state: State) -> list[int]:
    """The quantities that are given, or are another one plus or minus a number."""
    relations = [entry["relation"] for entry in state["quantities"]]
    return [i for i, name in enumerate(relations) if name != "sum" and wording.OPERATIONS.get(name, "+") in "+-"]


def _redraw(
    state: State, rng: random.Random, largest: int, addend: int, redrawn: Set[int]
) -> list[int | str | None] | None:
    """A number for every sentence (None where it keeps its own or has none), or None where the draw fails. redrawn: the
    quantities that get another number."""
    numbers, values = [], []
    lowest = 3 if addend == variation.MAX_ADDEND else largest // 6
    for i, entry in enumerate(state["quantities"]):
        number: int | str | None = None
        if entry["relation"] == "given":
            number = rng.randint(lowest, max(9, largest // 3)) if i in redrawn else None
        elif entry["relation"] != "sum":
            choices = variation.list_operands(entry["relation"], values[entry["of"][0]], largest, addend)
            if i in redrawn:
                if addend != variation.MAX_ADDEND:
                    choices = [choice for choice in choices if choice[1] > variation.MAX_ADDEND // 2] or choices
                number = rng.choice(choices)[0] if choices else None
            if number is None and entry["number"] not in [choice for choice, _ in choices]:
                return None
        value = variation.compute_value(entry if number is None else {**entry, "number": number}, values)
        if value < 2:
            return None
        numbers.append(number)
        values.append(value)
    return numbers


def _apply_gradeschool(state: State, parameters: Mapping[str, Any]) -> State:
    state = copy.deepcopy(state)
    for entry, number in zip(state["quantities"], parameters["said"], strict=True):
        if number is not None:
            entry["number"] = number
    return state


def _scale_bound(state: State, knobs: Knobs) -> int:
    return LARGER_FACTOR * variation.get_bound(state, knobs)


# Real problems.

# Frequencies in the questions of GSM8K's train file: of 2, 3, ... 100, and of the leading digit of larger numbers whose
# other digits are zeros.
_FREQUENCIES = (
    "2140 2121 1382 1435 801 362 668 222 1192 96 520 89 129 455 158 45 132 30 1058 35 47 32 140 271 29 27 56 7 "
    "576 8 41 12 17 82 44 16 11 9 425 3 33 10 10 83 12 2 39 6 512 8 24 6 21 21 20 4 14 3 280 4 5 13 13 23 8 2 6 3 "
    "73 3 24 2 7 87 4 0 11 4 232 5 6 6 12 20 2 4 5 4 99 3 10 3 6 10 10 3 7 7 306 "
)
NUMBER_FREQUENCY = dict(enumerate(map(int, _FREQUENCIES.split()), 2))
LEADING_DIGIT_FREQUENCY = {1: 82, 2: 271, 3: 142, 4: 146, 5: 134, 6: 81, 7: 14, 8: 39, 9: 22}


# A number of these units stays below the same ceiling: nobody works 30 hours a day.
_UNIT_CEILINGS = """
    hour:24,40,168 day:7,31,365 week:5,52 month:12,36 year:12,30,100 minute:60,120 second:60,120 grade:12 mph:80,200 am:12
    pm:12 %:100 percent:100
"""
UNIT_CEILINGS = {
    unit: [*map(int, ceilings.split(","))] for unit, ceilings in (row.split(":") for row in _UNIT_CEILINGS.split())
}
_AGE_WORDS = re.compile(r"\b(old|ages?|older|younger|birthday)\b", re.I)
MAX_AGE = 100
# Fixed numbers: days of a week, the values of coins and notes, legs, `the two`, and the number of the people named.
_FIXED_PHRASES = re.compile(
    r"[- ](?:hour|day|week|month)[- ](?:work[- ]?)?(?:day|week|month|year)s?\b|[- ](?:wheel|leg|tire|eye|ear|wing)s?\b"
    r"|[- ](?:dollar|cent)[- ](?:bill|coin|note)s?\b| (?:bill|note)s?\b"
)
_DEFINITE_BEFORE = re.compile(r"\b(?:the|these|those|all|both)\s+$", re.I)
_NAME_LIST = re.compile(r"[A-Z][a-z]+(?:, [A-Z][a-z]+)*,? and [A-Z][a-z]+")
# `5 times more than`: five times as much, or five times in addition?
_TIMES_MORE = re.compile(
    r"\btimes (?:\w+ )?(?:more|less|fewer|(?:old|young|larg|bigg|small|long|short|fast|slow|high|low|tall|heavi|cheap|"
    r"great|farth|furth|strong|rich|wid|deep)er)\b[^.?!]*\bthan\b",
    re.I,
)


def draw_similar(value: Fraction, rng: random.Random) -> Fraction:
    """A number with as many digits, trailing zeros and decimals."""
    if value.denominator != 1:
        places = len(programs.format_decimal(value).partition(".")[2])
        unit = Fraction(1, 10**places)
        return unit * draw_similar(value / unit, rng)
    n = int(value)
    if n < 10:
        choices = range(2, 10)
    elif n < 100:
        step = 10 if n % 10 == 0 else 5 if n % 5 == 0 else 1
        choices = [m for m in range(10, 100) if (10 if m % 10 == 0 else 5 if m % 5 == 0 else 1) == step]
    else:
        zeros = len(str(n)) - len(str(n).rstrip("0"))
        unit, digits = 10**zeros, len(str(n)) - zeros
        if digits == 1:
            lead = rng.choices(list(LEADING_DIGIT_FREQUENCY), list(LEADING_DIGIT_FREQUENCY.values()))[0]
            return Fraction(lead * unit)
        low, high = max(10 ** (digits - 1), n // unit * 2 // 3), min(10**digits - 1, n // unit * 4 // 3)
        return Fraction(unit * rng.choice([m for m in range(low, high + 1) if m % 10] or [n // unit]))
    return Fraction(rng.choices(choices, [NUMBER_FREQUENCY[m] for m in choices])[0])


def find_changeable(state: State) -> list[int]:
    """The numbers of a question that may be replaced. Raises NotApplicable where the text relates numbers in ways that the
    program does not show."""
    positions = {part["is"]["number"] for part in state["question"] if isinstance(part, dict) and "is" in part}
    values, needed = programs.list_numbers(state), gsm8k_program.find_used_numbers(state)
    if times := _TIMES_MORE.search(gsm8k_program.render_parts(state["question"])):
        raise NotApplicable(f"{times[0]!r} may add or multiply")
    for slot in programs.list_slots(state):
        if not slot["is"]:
            raise NotApplicable(f"the solution says {slot['said']}, which nothing explains")
    counted = [i for i, number in enumerate(state["numbers"]) if number["kind"] in ("digits", "word", "fixed")]
    relation = find_sum_relation([values[i] for i in counted])
    if relation:
        raise NotApplicable(f"{relation} may hold in the story itself")
    unused = [i for i in positions if i not in needed and values[i] > 1]
    if unused:
        raise NotApplicable(f"the solution does not use {programs.format_decimal(values[unused[0]])}")
    # Where a number of the solution could be one of several of the question, these keep their value.
    fixed = {
        ref["number"]
        for slot in programs.list_slots(state)
        if "or" in slot
        for ref in (slot["is"], *slot["or"])
        if "number" in ref
    }
    fixed |= _find_fixed(state)
    return [
        i
        for i in sorted(positions)
        if i not in fixed and (i in needed and values[i] >= 2 or values[i].denominator != 1)
    ]


def _find_fixed(state: State) -> set[int]:
    """The numbers that count what the story lists, and those in fixed phrases."""
    parts, values = state["question"], programs.list_numbers(state)
    listed = {
        match[0].count(",") + 2 - (", and" in match[0])
        for match in _NAME_LIST.finditer(gsm8k_program.render_parts(parts))
    }
    fixed = set()
    for at, part in enumerate(parts):
        if isinstance(part, dict):
            i, before, after = part["is"]["number"], parts[at - 1] if at else "", (*parts, "")[at + 1]
            is_definite = values[i] <= 10 and isinstance(before, str) and _DEFINITE_BEFORE.search(before)
            if is_definite or values[i] in listed or isinstance(after, str) and _FIXED_PHRASES.match(after):
                fixed.add(i)
    return fixed


def find_sum_relation(values: Sequence[Fraction]) -> str | None:
    """A sum among the given numbers (20 students, 12 girls, 8 boys), which new numbers would break."""
    numbers = sorted({value for value in values if value > 2})
    for a, b in itertools.combinations_with_replacement(numbers, 2):
        if a + b in numbers and a + b >= 10 and (a != b or values.count(a) > 1):
            return f"{programs.format_decimal(a)} + {programs.format_decimal(b)} = {programs.format_decimal(a + b)}"
    return None


def _find_counted_nouns(state: State) -> dict[int, str]:
    """The noun or sign after each number of the question."""
    parts, nouns = state["question"], {}
    for at, part in enumerate(parts):
        if isinstance(part, dict):
            after = parts[at + 1] if at + 1 < len(parts) and isinstance(parts[at + 1], str) else ""
            before = parts[at - 1] if at and isinstance(parts[at - 1], str) else ""
            noun = re.sub(r"^%?\s*([A-Za-z]*).*", r"\1", after, flags=re.S)
            nouns[part["is"]["number"]] = "$" if before.endswith("$") else "%" if after[:1] == "%" else noun.rstrip("s")
    return nouns


def _count_decimals(value: Fraction) -> int:
    return len(programs.format_decimal(value).partition(".")[2])


def is_plausible(state: State, new: Sequence[Fraction]) -> bool:
    """Whether new numbers make as plausible a problem as the old ones."""
    old, nouns = programs.list_numbers(state), _find_counted_nouns(state)
    old_parts: list[Fraction] = []  # values of subexpressions
    new_parts: list[Fraction] = []
    try:
        old_results = programs.compute_results(state, old, old_parts.append)
        new_results = programs.compute_results(state, new, new_parts.append)
        pairs = zip([*old_results, *old_parts], [*new_results, *new_parts], strict=True)
        if not programs.bindings_agree(state, new) or not all(
            _keeps_form(before, after, before in old_results) for before, after in pairs
        ):
            return False
    except ValueError:
        return False
    end = state["answer"]["step"]
    return _keeps_order(nouns, old, new) and _keeps_limits(nouns, old, new) and old_results[end] != new_results[end]


def _keeps_form(before: Fraction, after: Fraction, is_result: bool) -> bool:
    """Whether a value keeps its sign, stays an integer or none, below one or not, and a result gets no more decimals."""
    forms = [((v > 0) - (v < 0), 0 < abs(v) < 1, v.denominator == 1) for v in (before, after)]
    has_more_decimals = (
        before.denominator != 1 and is_result and _count_decimals(after) > max(2, _count_decimals(before))
    )
    return forms[0] == forms[1] and not has_more_decimals


def _keeps_order(nouns: Mapping[int, str], old: Sequence[Fraction], new: Sequence[Fraction]) -> bool:
    """Whether numbers of the same noun keep their order."""
    return not any(
        noun == other and noun and ((old[i] > old[j]) != (new[i] > new[j]) or (old[i] == old[j]) != (new[i] == new[j]))
        for (i, noun), (j, other) in itertools.combinations(nouns.items(), 2)
    )


def _keeps_limits(nouns: Mapping[int, str], old: Sequence[Fraction], new: Sequence[Fraction]) -> bool:
    """Whether numbers stay below the ceilings of their units, and percentages within 100 in sum."""
    if any(old[i] <= ceiling < new[i] for i, noun in nouns.items() for ceiling in UNIT_CEILINGS.get(noun, ())):
        return False
    percents = [i for i, noun in nouns.items() if noun in ("%", "percent") and old[i] <= 100]
    return not sum(old[i] for i in percents) <= 100 < sum(new[i] for i in percents)


def _draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    changeable, old = sorted(select_share(find_changeable(state), knobs["dose"], rng)), programs.list_numbers(state)
    if not changeable:
        raise NotApplicable("no number is bound for sure")
    has_ages = _AGE_WORDS.search(gsm8k_program.render_parts(state["question"]))
    limit = max(MAX_AGE, *programs.compute_results(state, old)) if has_ages else None
    certain = [i for i in changeable if i not in programs.find_ambiguous(state)]
    for attempt in range(MAX_ATTEMPTS):
        candidates, share = ((changeable, 1.0), (changeable, 0.5), (certain, 0.8))[attempt * 3 // MAX_ATTEMPTS]
        new = [draw_similar(v, rng) if i in candidates and rng.random() < share else v for i, v in enumerate(old)]
        if new == old or not is_plausible(state, new):
            continue
        if limit is None or max(programs.compute_results(state, new)) <= limit:
            return {"values": [str(value) for value in new]}
    raise NotApplicable(f"no other numbers keep the problem sound in {MAX_ATTEMPTS} draws")


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    return {**copy.deepcopy(state), "values": list(parameters["values"])}


# Competition problems.


def _compute_half(family: str, params: Mapping[str, Any]) -> int:
    """The half (0 or 1) of all problems that these parameters belong to; all items of a run are in one half."""
    return seeds.key("aime", competition.fingerprint(family, params)) % 2


def _make_competition_draw(step: int) -> DrawFunction:
    def draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
        competition_program.require_no_unknowns(state)
        level, key = state["level"] + step, rng.getrandbits(62)
        if level not in competition.LEVELS:
            raise NotApplicable(f"level {state['level']} is the highest")
        family, half = competition.FAMILIES[state["family"]], _compute_half(state["family"], state["params"])
        answer = competition.rederive(state)[2]
        for attempt in range(MAX_PARAMETER_DRAWS):
            params = family.sample_at(lambda field, attempt=attempt: seeds.rng(key, attempt, field), level)
            if params is None or _compute_half(family.name, params) == half:
                continue
            new = {**state, "level": level, "params": params}
            new_answer = family.solve_closed(params)
            if (
                0 <= new_answer <= items.MAX_ANSWER
                and str(new_answer) != answer
                and not competition_program.find_faults(new)
            ):
                return {"level": level, "params": params}
        raise NotApplicable(f"no other parameters in {MAX_PARAMETER_DRAWS} draws")

    return draw


def _apply_competition(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "level": parameters["level"], "params": parameters["params"]}


NUMBERS = Operator(
    "numbers",
    "changing",
    {
        "gradeschool": Change(
            _make_gradeschool_draw(variation.get_bound, variation.MAX_ADDEND), _apply_gradeschool, dose="the numbers"
        ),
        "lifted": Change(_draw, _apply, dose="the numbers"),
        "competition": Change(_make_competition_draw(0), _apply_competition),
    },
)
LARGER = Operator(
    "larger",
    "changing",
    {
        "gradeschool": Change(_make_gradeschool_draw(_scale_bound, 999), _apply_gradeschool, dose="the numbers"),
        "competition": Change(_make_competition_draw(1), _apply_competition),
    },
)
