"""Operator `reversed`: the answer is given and an earlier number is asked for (FOBAR, Jiang et al. 2023, arXiv 2308.07758).

The solution inverts the old one step by step. A problem is reversed only if that number is used once and every step from
it to the answer has one inverse, so that the reversed problem has exactly one answer.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Mapping
from typing import Any

from stages.lib.core.expressions import Tree, parse_tree
from stages.lib.operators import numbers
from stages.lib.operators.programs import gsm8k_program
from stages.lib.operators.programs.base import Change, Knobs, NotApplicable, Operator, State
from stages.lib.procedural.gradeschool import variation
from stages.lib.procedural.lifting import programs


def _draw_given(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    answer, templates = (
        variation.compute_values(state)[-1],
        variation.list_templates(state["split"])["given"],
    )
    candidates = []
    for i, entry in enumerate(state["quantities"]):
        if entry["relation"] == "given" and entry["number"] != answer:
            trial = _apply_given(state, {"asked": i, "final": {"template": list(templates[0])}})
            if variation.solve(trial)[1] == str(entry["number"]):
                candidates.append(i)
    if not candidates:
        raise NotApplicable("no first number can be found back step by step")
    return {"asked": rng.choice(candidates), "final": {"template": list(rng.choice(templates))}}


def _apply_given(state: State, parameters: Mapping[str, Any]) -> State:
    state, target = copy.deepcopy(state), parameters["asked"]
    state["told"] = [i for i in variation.get_sentence_order(state) if i != target]
    state["asked"], state["final"] = target, dict(parameters["final"])
    return state


# 28 and 29 eggs both fill 14 boxes of 2: the dividend does not follow from a rounded quotient.
_ROUNDING_WORDS = re.compile(
    r"\b(can|could|fits?|fills?|stores?|needs?|needed|enough|(?:have|has|had) to|should|must|required?|at a time|lasts?)\b"
)
_ORDER_DEPENDENT_WORDS = re.compile(r"\b(difference|higher|lower|larger|smaller|whichever|round(?:ed)?)\b", re.I)


def _involves_division(state: State, number: int) -> bool:
    """Whether a step that depends on a number divides by a given or computed number."""

    def divides(node: Tree) -> bool:
        if not isinstance(node, tuple):
            return False
        operation, left_side, right = node
        ref = right["is"] if isinstance(right, dict) else {}
        is_computed = "step" in ref or "number" in ref and state["numbers"][ref["number"]]["kind"] != "cue"
        return operation == "/" and (is_computed or isinstance(right, tuple)) or divides(left_side) or divides(right)

    return any(
        divides(parse_tree(state["annotations"][k]["expression"])) for k in gsm8k_program.find_dependents(state, number)
    )


def find_reversible(state: State) -> list[int]:
    """The numbers of a lifted problem that can be found back from the answer step by step. Raises NotApplicable with the
    reason where there are none."""
    changeable, values = numbers.find_changeable(state), programs.list_numbers(state)
    ambiguous = programs.find_ambiguous(state)
    answer, candidates, reason = gsm8k_program.render(state)[2], [], "no number can be found back step by step"
    question = gsm8k_program.render_parts(state["question"])
    if _ORDER_DEPENDENT_WORDS.search(question):
        raise NotApplicable("which of two is larger is not told")
    for i in (i for i in changeable if i not in ambiguous):
        if values.count(values[i]) > 1 or programs.format_decimal(values[i]) == answer:
            continue
        if _ROUNDING_WORDS.search(question) and _involves_division(state, i):
            reason = "a quotient may have been rounded"
            continue
        try:
            if gsm8k_program.render(_apply(state, {"number": i}))[2] == programs.format_decimal(values[i]):
                candidates.append(i)
        except (NotApplicable, ValueError) as error:
            reason = str(error)
    if not candidates:
        raise NotApplicable(reason)
    return candidates


def _draw(state: State, rng: random.Random, knobs: Knobs) -> dict[str, Any]:
    return {"number": rng.choice(find_reversible(state))}


def _apply(state: State, parameters: Mapping[str, Any]) -> State:
    return {**state, "unknown": {"number": parameters["number"]}}


OPERATOR = Operator(
    "reversed", "changing", {"gradeschool": Change(_draw_given, _apply_given), "lifted": Change(_draw, _apply)}
)
