"""Operator `units`: numbers in other units, exactly: six pairs for twelve, 120 minutes for 2 hours.

The answer stays; the solution converts the number first. In bundled problems a dose is the share of the numbers that
can be converted; in a real problem one number is.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from stages.lib.operators.programs import gsm8k_program
from stages.lib.operators.programs.base import Change, Knobs, NotApplicable, Operator, State, select_share
from stages.lib.procedural.gradeschool import variation, wording
from stages.lib.procedural.lifting.programs import format_decimal

UNIT_SIZES = {"dozen": 12, "pairs": 2}
_FORMS = {  # templates with a unit of measure, counted by {n}
    "given": "{t} {verb} {n} {measure} {unit}",
    "more": "{t} {verb} {n} {measure} {unit} more than {s}",
    "fewer": "{t} {verb} {n} {measure} {unit} fewer than {s}",
    "inverse more": "{s} {verb} {n} {measure} {unit} more than {t}",
    "inverse fewer": "{s} {verb} {n} {measure} {unit} fewer than {t}",
    "gain": "{t} {verb} as many {unit} as {s} and then gets {n} {measure} more",
    "loss": "{t} {verb} as many {unit} as {s} and then loses {n} {measure}",
}


def _choose_measure(entry: Mapping[str, Any]) -> str | None:
    """The largest unit of which a number is an exact multiple, above one."""
    if entry["relation"] not in _FORMS:
        return None
    return next(
        (unit for unit, size in UNIT_SIZES.items() if entry["number"] % size == 0 and entry["number"] > size), None
    )


def _draw_measures(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    exact = {
        str(i): unit for i in variation.get_sentence_order(state) if (unit := _choose_measure(state["quantities"][i]))
    }
    if not exact:
        raise NotApplicable("no number is an exact count of pairs or dozens")
    return {"measures": {i: exact[i] for i in sorted(select_share(list(exact), knobs["dose"], rng))}}


def _apply_measures(state: State, parameters: Mapping[str, Any]) -> State:
    state = copy.deepcopy(state)
    for i, unit in parameters["measures"].items():
        entry = state["quantities"][int(i)]
        measure = unit if unit == "dozen" or entry["relation"] in ("gain", "loss") else f"{unit} of"
        frame = wording.FRAMES[entry["template"][1]]
        form = frame.format(_FORMS[entry["relation"]].replace("{measure}", measure))
        entry["measure"] = {"unit": unit, "size": UNIT_SIZES[unit], "form": form}
    return state


# (singular, plural) -> (smaller unit, its number in the larger). Not days: a day of work is not 24 hours.
_SMALLER_UNITS = """
    hour:hours:minutes:60 minute:minutes:seconds:60 week:weeks:days:7 year:years:months:12 foot:feet:inches:12
    yard:yards:feet:3 meter:meters:centimeters:100 kilogram:kilograms:grams:1000 kilometer:kilometers:meters:1000
    pound:pounds:ounces:16 liter:liters:milliliters:1000 gallon:gallons:quarts:4
"""
SMALLER_UNITS = {
    (singular, plural): (smaller, int(factor))
    for singular, plural, smaller, factor in (row.split(":") for row in _SMALLER_UNITS.split())
}
_SINGULAR = {"inches": "inch", "feet": "foot"}
_NOT_FOLLOWED_BY = r"(?!-|\w| old| ago|,? (?:an?|per|each|every|in|of the) "
_NOT_FOLLOWED_BY += r"(?:day|week|month|year|hour|minute|foot|yard|pound|gallon)s?\b)"


def _find_conversions(state: State) -> list[dict[str, Any]]:
    """All exact conversions: numbers of the question with a unit that has a smaller one."""
    conversions, parts = [], state["question"]
    text = gsm8k_program.render_parts(parts).lower()
    for position, part in enumerate(parts):
        if isinstance(part, str) or not part["said"].replace(",", "").replace(".", "").isdigit():
            continue
        before = parts[position - 1] if position and isinstance(parts[position - 1], str) else ""
        after = parts[position + 1] if position + 1 < len(parts) and isinstance(parts[position + 1], str) else ""
        size = Fraction(state["numbers"][part["is"]["number"]]["value"])
        if (
            before.endswith("$")
            and not re.search(r"\b(?:an?|the|this|that|his|her|its|their|my) \$$", before)  # an $11 sweater
            and size <= 20
            and not re.match(r"-|\s*(million|thousand|billion|dollars?|cents?)\b", after)
        ):
            conversions.append({"at": position, "old": "dollars", "new": "cents", "size": 100})
        for names, (smaller, factor) in SMALLER_UNITS.items():
            unit = re.match(rf" ({names[0]}|{names[1]})\b{_NOT_FOLLOWED_BY}", after)
            adjective = unit and unit[1] == names[0] and size != 1  # a 30 day month
            counted = before == " " and position > 1  # two 15 minute breaks
            named = re.search(rf"\b(?:{smaller}|{_SINGULAR.get(smaller, smaller[:-1])})\b", text)
            if unit and not (adjective or counted or named) and not before.endswith("$"):
                conversions.append({"at": position, "old": unit[1], "new": smaller, "size": factor})
    exact = [
        conversion
        for conversion in conversions
        if (_get_value(state, conversion["at"]) * conversion["size"]).denominator == 1
    ]
    return [conversion for conversion in exact if _keeps_answer_unit(state, conversion)]


def _keeps_answer_unit(state: State, change: Mapping[str, Any]) -> bool:
    """Whether the unit of the answer stays clear: the question asks how many of something, or the old unit also occurs
    elsewhere. Otherwise `how much` could be answered in the new unit."""
    parts = [part if isinstance(part, str) else part["said"] for part in state["question"]]
    match = re.search(
        r"\bhow many ([a-z]+)", gsm8k_program.render_parts(gsm8k_program.split_sentences(state["question"])[-1]), re.I
    )
    if match and match[1] not in ("more", "less", "of", "in", "does", "did"):
        return True
    at, old = change["at"], change["old"]
    if old == "dollars":
        parts[at - 1] = parts[at - 1][:-1]
        return bool(re.search(r"\$|\bdollars?\b", "".join(parts)))
    parts[at + 1] = parts[at + 1].replace(old, "", 1)
    names = next(names for names in SMALLER_UNITS if old in names)
    return bool(re.search(rf"\b(?:{'|'.join(names)})\b", "".join(parts)))


def _get_value(state: State, at: int) -> Fraction:
    return Fraction(state["numbers"][state["question"][at]["is"]["number"]]["value"])


def _draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    conversions = _find_conversions(state)
    if not conversions:
        raise NotApplicable("no number stands with a unit that converts exactly")
    return rng.choice(conversions)


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    state, at, size = copy.deepcopy(state), parameters["at"], parameters["size"]
    parts, old = state["question"], format_decimal(_get_value(state, at))
    new = format_decimal(_get_value(state, at) * size)
    parts[at] = new
    if parameters["old"] == "dollars":
        parts[at - 1] = parts[at - 1][:-1]
        parts[at] = f"{new} cents"
    else:
        parts[at + 1] = parts[at + 1].replace(parameters["old"], parameters["new"], 1)
    line = f"{new} {parameters['new']} are {new}/{size} = <<{new}/{size}={old}>>{old} {parameters['old']}."
    state["leading"] = [*state.get("leading", []), {"text": line, "value": old}]
    return state


OPERATOR = Operator(
    "units",
    "preserving",
    {
        "gradeschool": Change(_draw_measures, _apply_measures, dose="the numbers that convert"),
        "lifted": Change(_draw, _apply),
    },
)
