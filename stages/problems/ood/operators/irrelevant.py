"""Operator `irrelevant`: one more fact that the answer does not need (GSM-IC, Shi et al. 2023, arXiv 2302.00093).

In bundled problems the extra sentence is drawn by the benchmark's own distributions, in a template of the problem's own
split, about a new person who is compared with one of the story. Neither its words nor its form give it away: only the
question shows that it is not needed. Competition problems get a fact from `competition_distractors.py`.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Mapping
from typing import Any

from stages.lib.procedural import competition
from stages.lib.procedural.gradeschool import variation, wording
from stages.problems.ood.programs import competition_distractors, competition_program
from stages.problems.ood.programs.base import Change, Knobs, Operator, State


def _draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    values, templates = variation.compute_values(state), variation.list_templates(state["split"])
    free = [name for name in wording.NAMES if name not in variation.list_people(state)]
    order, largest = variation.get_sentence_order(state), variation.get_bound(state, knobs)
    place = rng.randint(1, len(order))
    source = rng.choice(order[:place])
    entry = variation.draw_relation(source, values[source], largest, templates, rng)
    return {"person": rng.choice(free), "entry": entry, "before": place}


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    state = copy.deepcopy(state)
    state["asides"] = [*state.get("asides", []), dict(parameters)]
    return state


def _draw_competition(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    question, steps, _ = competition.rederive({key: state[key] for key in competition_program.PROGRAM_KEYS})
    numbers = {int(n) for text in (question, *(step.text for step in steps)) for n in re.findall(r"\d+", text)}
    return competition_distractors.draw_distractor(question, numbers, rng, knobs["split"])


def _apply_competition(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "aside": {key: parameters[key] for key in ("sentence", "before")}}


OPERATOR = Operator(
    "irrelevant",
    "preserving",
    {"gradeschool": Change(_draw, _apply), "competition": Change(_draw_competition, _apply_competition)},
)
