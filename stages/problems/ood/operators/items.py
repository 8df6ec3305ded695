"""Other things: what is counted in the bundled world is replaced by something else. The answer stays.

Real problems are left alone: a word for a thing can be a name (Rose), part of another (a golf ball) or a kind of what
stands beside it (brownies among pastries), which no list of words tells.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from stages.lib.procedural.gradeschool import wording
from stages.problems.ood.programs.base import Change, Operator, State

# Words of the vocabulary that no story counts.
UNITS = wording.add_adjectives(("games", "trees", "items", "pieces", "things", "plans"), ("old", "new", "big", "small"))


def _draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    return {"unit": rng.choice(wording.select_owned(UNITS, knobs["split"]))}


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "unit": parameters["unit"]}


OPERATOR = Operator("items", "preserving", {"gradeschool": Change(_draw, _apply)}, "other things")
