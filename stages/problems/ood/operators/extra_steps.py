"""More steps: the story goes on from where it was asked, so the answer is computed anew.

Bundled problems get two more quantities by the benchmark's own law, in templates of the problem's own split. Real
problems get one more computation on their answer (compositional problems, Hosseini et al. 2024, arXiv 2410.01748).
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from stages.lib.procedural.gradeschool import wording
from stages.problems.ood.operators import numbers
from stages.problems.ood.programs import gradeschool_program, gsm8k_program
from stages.problems.ood.programs.base import Change, NotApplicable, Operator, State

NUM_EXTRA_QUANTITIES = 2


def _draw_links(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    known, templates = gradeschool_program.compute_values(state), gradeschool_program.list_templates(state["split"])
    largest, answer = max(knobs.get("largest") or 0, numbers.compute_bound(state)), known[-1]
    people = rng.sample([name for name in wording.NAMES if name not in state["people"]], NUM_EXTRA_QUANTITIES)
    while True:
        entries, values = [], list(known)
        for _ in range(NUM_EXTRA_QUANTITIES):
            entries.append(gradeschool_program.draw_relation(len(values) - 1, values[-1], largest, templates, rng))
            values.append(gradeschool_program.compute_value(entries[-1], values))
        if values[-1] != answer:  # + 5, then - 5
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


def _draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
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


OPERATOR = Operator(
    "steps",
    "changing",
    {"gradeschool": Change(_draw_links, _apply_links), "lifted": Change(_draw, _apply)},
    "more steps",
)
