"""Operator `steps`: more steps after the old question, so another answer is computed.

Bundled problems get more quantities, drawn by the benchmark's own distributions in templates of the problem's own split: as
many as the problem has, times the dose. Real and competition problems get one more computation on their answer
(compositional problems, Hosseini et al. 2024, arXiv 2410.01748; in team contests a relay).
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from stages.lib.operators.programs import competition_program, gsm8k_program
from stages.lib.operators.programs.base import Change, Knobs, NotApplicable, Operator, State, count_share
from stages.lib.procedural.competition import items
from stages.lib.procedural.gradeschool import variation, wording

MAX_ATTEMPTS = 400  # of a competition problem


def _draw_links(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    old_values, templates = (
        variation.compute_values(state),
        variation.list_templates(state["split"]),
    )
    largest, answer = variation.get_bound(state, knobs), old_values[-1]
    free, most = [name for name in wording.NAMES if name not in state["people"]], len(old_values)
    entries, values = [], list(old_values)
    people = rng.sample(free, most)[: count_share(most, knobs["dose"])]
    while len(entries) < len(people):
        entry = variation.draw_relation(len(values) - 1, values[-1], largest, templates, rng)
        value = variation.compute_value(entry, values)
        if value != answer:  # not + 5, then - 5, at any dose
            entries.append(entry)
            values.append(value)
    return {"people": people, "entries": entries}


def _apply_links(state: State, parameters: Mapping[str, Any]) -> State:
    state = copy.deepcopy(state)
    if "told" in state or "final" in state:
        raise NotApplicable("the telling was changed before")
    state["people"] = [*state["people"], *parameters["people"]]
    state["quantities"] = [*state["quantities"], *map(dict, parameters["entries"])]
    return state


_FORMS = {
    "+": "Now add {n} to that answer. What is the result?",
    "*": "Now multiply that answer by {n}. What is the result?",
    "-": "Now subtract {n} from that answer. What is the result?",
}


def _draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    answer = Fraction(gsm8k_program.render(state)[2])
    if answer <= 0:
        raise NotApplicable("the answer is not above 0")
    operation = rng.choice("+*-" if answer > 5 else "+*")
    number = rng.randint(2, 9) if operation == "*" else rng.randint(2, max(9, min(99, int(answer) - 1)))
    if operation == "-" and number >= answer:
        number = int(answer) // 2
    return {"operation": operation, "number": number, "text": _FORMS[operation].format(n=number)}


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "further": dict(parameters)}


def _draw_relay(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    question, _, answer = competition_program.render(state)
    used = set(re.findall(r"[A-Z]", question))
    letter = next((letter for letter in "TMWD" if letter not in used), None)
    if answer == "N/A" or letter is None:
        raise NotApplicable("nothing can follow from an open answer" if letter else "no letter is left for the answer")
    for _ in range(MAX_ATTEMPTS):
        times, modulus = rng.randint(3, 19), rng.randint(11, items.MAX_ANSWER)
        product = times * int(answer)
        result = str(product % modulus)
        if product > modulus and result != answer and not items.is_stated(result, f"{question} {times} {modulus}"):
            return {"letter": letter, "times": times, "modulus": modulus}
    raise NotApplicable(f"{answer} is too small to be computed with")


def _apply_relay(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "further": {key: parameters[key] for key in ("letter", "times", "modulus")}}


OPERATOR = Operator(
    "steps",
    "changing",
    {
        "gradeschool": Change(_draw_links, _apply_links, dose="the number of quantities"),
        "lifted": Change(_draw, _apply),
        "competition": Change(_draw_relay, _apply_relay),
    },
)
