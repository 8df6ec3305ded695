"""Another order of telling. In the bundled world every sentence is a fact and the question stays last, so the answer
stays.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any

from stages.problems.ood.operators import tale
from stages.problems.ood.operators.operator import Change, Operator, State, Unfit


def _draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    places = list(range(len(tale.told(state))))
    if len(places) < 2:
        raise Unfit("one sentence has no other order")
    order = list(places)
    while order == places:
        rng.shuffle(order)
    return {"order": order}


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    state, told = copy.deepcopy(state), tale.told(state)
    state["told"] = [told[i] for i in parameters["order"]]
    return state


OPERATOR = Operator("order", "preserving", {"gradeschool": Change(_draw, _apply)}, "another order")
