"""Operator `unknowns`: one number of a competition problem becomes a letter that two linear equations determine.

The answer stays. With dependent equations the same change removes a premise (`premise.py`); both are drawn here, so that
only solving the equations tells which problems have an answer. The method is in `programs/competition_unknowns.py`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from stages.lib.operators.programs import competition_program, competition_unknowns
from stages.lib.operators.programs.base import Change, DrawFunction, Knobs, Operator, State


def make_draw(is_open: bool) -> DrawFunction:
    """A draw of two equations: independent ones, or, where the number is to be left open, dependent ones."""

    def draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
        competition_program.require_no_unknowns(state)
        return competition_unknowns.draw_unknowns(
            competition_program.build_plain_problem(state),
            lambda params: competition_program.build_plain_problem(state, params),
            rng,
            is_open,
        )

    return draw


def apply(state: State, parameters: Mapping[str, Any]) -> State:
    if parameters.get("kept"):
        parameters = {key: parameters[key] for key in ("holes", "letters")} | {"equations": parameters["whole"]}
    keys = ("holes", "letters", "equations", "completions")
    return {**state, "unknowns": {key: parameters[key] for key in keys if key in parameters}}


OPERATOR = Operator("unknowns", "preserving", {"competition": Change(make_draw(False), apply)})
