"""Operator `order`: the sentences of a bundled problem in another order, the question last. The answer stays."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any

from stages.lib.procedural.gradeschool import variation
from stages.problems.ood.programs.base import Change, Knobs, NotApplicable, Operator, State


def _draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    places = list(range(len(variation.get_sentence_order(state))))
    if len(places) < 2:
        raise NotApplicable("one sentence has no other order")
    order = list(places)
    while order == places:
        rng.shuffle(order)
    return {"order": order}


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    state, old = copy.deepcopy(state), variation.get_sentence_order(state)
    state["told"] = [old[i] for i in parameters["order"]]
    return state


OPERATOR = Operator("order", "preserving", {"gradeschool": Change(_draw, _apply)})
