"""Operator `irrelevant`: more facts that the answer does not need (GSM-IC, Shi et al. 2023, arXiv 2302.00093).

Bundled problems get as many extra sentences as they have sentences, times the dose. Each is drawn by the benchmark's own
distributions, in a template of the problem's own split, about a new person who is compared with one of the story. Neither
its words nor its form give it away: only the question shows that it is not needed. Competition problems get one fact from
`competition_distractors.py`.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Mapping
from typing import Any

from stages.lib.operators.programs import competition_distractors, competition_program
from stages.lib.operators.programs.base import Change, Knobs, Operator, State, count_share
from stages.lib.procedural import competition
from stages.lib.procedural.gradeschool import variation, wording


def _draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    values, templates = variation.compute_values(state), variation.list_templates(state["split"])
    free = [name for name in wording.NAMES if name not in variation.list_people(state)]
    order, largest, asides = variation.get_sentence_order(state), variation.get_bound(state, knobs), []
    for person in rng.sample(free, len(order))[: count_share(len(order), knobs["dose"])]:
        place = rng.randint(1, len(order))
        source = rng.choice(order[:place])
        entry = variation.draw_relation(source, values[source], largest, templates, rng)
        asides.append({"person": person, "entry": entry, "before": place})
    return {"asides": asides}


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    state = copy.deepcopy(state)
    state["asides"] = [*state.get("asides", []), *map(dict, parameters["asides"])]
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
    {
        "gradeschool": Change(_draw, _apply, dose="the number of sentences"),
        "competition": Change(_draw_competition, _apply_competition),
    },
)
