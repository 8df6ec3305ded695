"""Operator `items`: a bundled problem counts other things than those of the benchmark. The answer stays.

Real problems are not changed: a word for a thing can be a name (Rose), a part of another word (a golf ball) or a kind of
something else in the text (brownies among pastries), and no word list can decide that.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from stages.lib.operators.programs.base import Change, Knobs, Operator, State
from stages.lib.procedural.gradeschool import wording

# Words that a tiny model knows and no story of the benchmark counts.
UNITS = wording.add_adjectives(("games", "trees", "items", "pieces", "things", "plans"), ("old", "new", "big", "small"))


def _draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    return {"unit": rng.choice(wording.select_owned(UNITS, knobs["split"]))}


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "unit": parameters["unit"]}


OPERATOR = Operator("items", "preserving", {"gradeschool": Change(_draw, _apply)})
