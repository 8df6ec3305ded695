"""The question reversed: the final value is told and a number from the beginning is asked for.

The solution is the old one undone step by step. Only problems are reversed in which that number enters once, and
every step on its way to the answer can be undone in one way only, so that the reversed problem has exactly one answer
(after FOBAR, Jiang et al. 2023, arXiv 2308.07758).
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Mapping
from typing import Any

from stages.lib.procedural.expressions import Tree, tree
from stages.lib.procedural.lifting import programs
from stages.problems.ood.operators import numbers, retold, tale
from stages.problems.ood.operators.operator import Change, Operator, State, Unfit


def _draw_given(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    answer, own = tale.values(state)[-1], tale.templates(state["split"])["given"]
    able = []
    for i, entry in enumerate(state["quantities"]):
        if entry["relation"] == "given" and entry["number"] != answer:
            trial = _apply_given(state, {"asked": i, "final": {"template": list(own[0])}})
            if tale.solve(trial)[1] == str(entry["number"]):
                able.append(i)
    if not able:
        raise Unfit("no first number can be found back step by step")
    return {"asked": rng.choice(able), "final": {"template": list(rng.choice(own))}}


def _apply_given(state: State, parameters: Mapping[str, Any]) -> State:
    state, asked = copy.deepcopy(state), parameters["asked"]
    state["told"] = [i for i in tale.told(state) if i != asked]
    state["asked"], state["final"] = asked, dict(parameters["final"])
    return state


# Of 29 eggs one fills 14 boxes of 2, and of 28: what is divided up cannot be told from how many parts there are.
_ROUNDED = re.compile(
    r"\b(can|could|fits?|fills?|stores?|needs?|needed|enough|(?:have|has|had) to|should|must|required?|at a time|lasts?)\b"
)
_EITHER = re.compile(r"\b(difference|higher|lower|larger|smaller|whichever|round(?:ed)?)\b", re.I)  # either way round


def _divided(state: State, number: int) -> bool:
    """Whether something that rests on a number is divided by a number told or computed, or divides."""

    def divides(node: Tree) -> bool:
        if not isinstance(node, tuple):
            return False
        operation, left, right = node
        ref = right["is"] if isinstance(right, dict) else {}
        told = "step" in ref or "number" in ref and state["numbers"][ref["number"]]["kind"] != "cue"
        return operation == "/" and (told or isinstance(right, tuple)) or divides(left) or divides(right)

    return any(divides(tree(state["annotations"][k]["expression"])) for k in retold.resting(state, number))


def _draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    places, values, doubtful = numbers.changeable(state), programs.numbers(state), programs.doubtful(state)
    answer, able, reason = retold.render(state)[2], [], "no number can be found back step by step"
    said = retold.text(state["question"])
    if _EITHER.search(said):
        raise Unfit("which of two is larger is not told")
    for i in (i for i in places if i not in doubtful):
        if values.count(values[i]) > 1 or programs.canonical(values[i]) == answer:
            continue
        if _ROUNDED.search(said) and _divided(state, i):
            reason = "a quotient may have been rounded"
            continue
        try:
            if retold.render(_apply(state, {"number": i}))[2] == programs.canonical(values[i]):
                able.append(i)
        except (Unfit, ValueError) as error:
            reason = str(error)
    if not able:
        raise Unfit(reason)
    return {"number": rng.choice(able)}


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "unknown": {"number": parameters["number"]}}


OPERATOR = Operator(
    "reversed", "changing", {"gradeschool": Change(_draw_given, _apply_given), "lifted": Change(_draw, _apply)},
    "the answer told, a number asked",
)  # fmt: skip
