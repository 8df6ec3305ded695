"""Operator `order`: the sentences of a bundled problem in another order, the question last. The answer stays.

A dose is the share of the sentences that change their place, at least two.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any

from stages.lib.operators.programs.base import Change, Knobs, NotApplicable, Operator, State, count_share
from stages.lib.procedural.gradeschool import variation


def _draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    order = list(range(len(variation.get_sentence_order(state))))
    if len(order) < 2:
        raise NotApplicable("one sentence has no other order")
    # Some sentences change places in a circle, so that each of them moves.
    moved = rng.sample(order, len(order))[: max(2, count_share(len(order), knobs["dose"]))]
    for place, sentence in zip(moved, [*moved[1:], moved[0]], strict=True):
        order[place] = sentence
    return {"order": order}


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    state, old = copy.deepcopy(state), variation.get_sentence_order(state)
    state["told"] = [old[i] for i in parameters["order"]]
    return state


OPERATOR = Operator("order", "preserving", {"gradeschool": Change(_draw, _apply, dose="the sentences")})
