"""One more fact that nobody needs, as in GSM-IC (Shi et al. 2023, arXiv 2302.00093). The answer stays.

In the bundled world the extra sentence is drawn by the world's own law, in a template of the problem's own split, about
a further person who is compared with one of the story: neither its words nor its connections give it away, only that
the question does not rest on it. Competition problems get a fact of `asides.py`.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any

from stages.lib.procedural.gradeschool import wording
from stages.problems.ood.operators import numbers
from stages.problems.ood.programs import gradeschool_program
from stages.problems.ood.programs.base import Change, Operator, State


def _draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    known, templates = gradeschool_program.compute_values(state), gradeschool_program.list_templates(state["split"])
    free = [name for name in wording.NAMES if name not in gradeschool_program.list_people(state)]
    told, largest = (
        gradeschool_program.get_sentence_order(state),
        max(knobs.get("largest") or 0, numbers.compute_bound(state)),
    )
    place = rng.randint(1, len(told))
    source = rng.choice(told[:place])
    entry = gradeschool_program.draw_relation(source, known[source], largest, templates, rng)
    return {"person": rng.choice(free), "entry": entry, "before": place}


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    state = copy.deepcopy(state)
    state["asides"] = [*state.get("asides", []), dict(parameters)]
    return state


OPERATOR = Operator("irrelevant", "preserving", {"gradeschool": Change(_draw, _apply)}, "a fact nobody needs")
