"""DyVal items changed: a state is the params of `ood/dyval`, told again by the task's own sentences.

The knobs of DyVal itself: the order of the descriptions, the names, descriptions nobody needs, other values, the next
level. What is taken away stands in `gaps.py`. A state may carry `edits`, typographical noise, made last. A second
reader, who knows nothing but the question, must find the same answer after every change.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from stages.lib import seeds
from stages.lib.records import Step
from stages.ood import dyval
from stages.ood.dyval import arithmetic, linear_equation, reading, trees
from stages.ood.dyval.levels import LEVELS, ORDERS
from stages.ood.dyval.names import names
from stages.ood.dyval.statements import LEAF, arrange, operands
from stages.ood.operators import extras, gaps, noise
from stages.ood.operators.operator import Change, State, Unfit

TRIES = 400
KEPT = frozenset(
    {"minus", "divided", "product", "square", "root", "value", "points", "nothing", "holds", "fails", "equal"}
)
REASONS = {  # why an operator changes no DyVal item
    "items": "the names of a graph count no things",
    "phrasing": "a task has one form of sentence each, so that no words tell a distractor",
    "units": "the values of a graph have no units",
    "steps": "a graph gets more steps by `larger`, the next level of its task",
    "unknowns": "an item tells values by other values anyway",
    "reversed": "an operation cannot be undone where another operand rests on the same value",
}


def render(state: State) -> tuple[str, list[Step], str]:
    question, steps, answer = dyval.rederive(state)
    return noise.edited(question, state.get("edits", [])), steps, answer


def sound(state: State) -> list[str]:
    """Where the second reader finds another answer in the words than the program gives."""
    question, _, answer = dyval.rederive(state)
    try:
        found = reading.answer(state["task"], question)
    except (ValueError, KeyError, IndexError) as error:
        return [f"the question cannot be read back ({error})"]
    return [] if found == answer else [f"the question by itself gives {found}, the program {answer}"]


def difficulty(state: State) -> float:
    return float(len(dyval.rederive(state)[1]) - 1)


def _answer(state: State) -> str:
    return dyval.rederive(state)[2]


# Words and order.


def _draw_order(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    told = state["statements"]
    places = {id(statement): i for i, statement in enumerate(told)}
    for _ in range(20):
        order = rng.choice([other for other in ORDERS if other != state["order"]])
        permutation = [places[id(statement)] for statement in arrange(told, order, lambda field: rng)]
        if permutation != list(range(len(told))):
            return {"order": order, "permutation": permutation}
    raise Unfit("one description has no other order")


def _apply_order(state: State, parameters: Mapping[str, Any]) -> State:
    told = [state["statements"][i] for i in parameters["permutation"]]
    return {**state, "order": parameters["order"], "statements": told}


def _draw_names(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    old = extras.named(state)
    new = [name for name in names(rng, 2 * len(old)) if name not in old]
    return {"rename": dict(zip(old, new, strict=False))}


def _apply_names(state: State, parameters: Mapping[str, Any]) -> State:
    return dyval.with_names(state, parameters["rename"])


# Other values.


def _draw_values(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    if state["task"] not in ("arithmetic", "linear_equation", "max_sum_path"):
        raise Unfit(f"{state['task']} has no numbers")
    answer = _answer(state)
    if answer == "N/A":
        raise Unfit("no values give an item without an answer one")
    redraw = _node_values if state["task"] == "max_sum_path" else _leaf_values
    for attempt in range(TRIES):
        parameters = redraw(state, rng, 1.0 if attempt < TRIES // 4 else 0.5 if attempt < TRIES // 2 else 0.25)
        if parameters and _answer(_apply_values(state, parameters)) not in (answer, "N/A"):
            return parameters
    raise Unfit(f"no other values in {TRIES} draws")


def _node_values(state: State, rng: random.Random, share: float) -> dict[str, Any]:
    return {"values": [rng.randint(1, 10) for _ in state["statements"]]}


def _leaf_values(state: State, rng: random.Random, share: float) -> dict[str, Any] | None:
    """Leaves drawn again by the task's law, and coefficients; None where a value that could be calculated no longer can."""
    told = state["statements"]
    rooted = {one for statement in told if statement[1] == "sqrt" for one in operands(statement)}
    values = [
        statement[2] if statement[1] == LEAF and rng.random() >= share
        else arithmetic.leaf(rng, "sqrt" if statement[0] in rooted else "") if statement[1] == LEAF else None
        for statement in told
    ]  # fmt: skip
    parameters: dict[str, Any] = {"values": values}
    if "coefficients" in state:
        parameters["coefficients"] = [
            one if isinstance(one, list) else rng.randint(-10, 10) for one in state["coefficients"]
        ]
    new = _apply_values(state, parameters)
    if len(_evaluated(new)) < len(_evaluated(state)) or new == state:
        return None
    return parameters if "coefficients" not in state or linear_equation.fine(new) else None


def _evaluated(state: State) -> dict[str, Any]:
    return trees.evaluate(state["statements"], [s[0] for s in state["statements"]], arithmetic.apply)


def _apply_values(state: State, parameters: Mapping[str, Any]) -> State:
    place = 3 if state["task"] == "max_sum_path" else 2
    told = [list(statement) for statement in state["statements"]]
    for statement, value in zip(told, parameters["values"], strict=True):
        if value is not None:
            statement[place] = value
    new = {**state, "statements": told}
    return new | ({"coefficients": parameters["coefficients"]} if "coefficients" in parameters else {})


# The next level.


def _draw_level(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    task, level, answer, key = state["task"], state.get("level", 0) + 1, _answer(state), rng.getrandbits(62)
    if level == 1 or level not in LEVELS[task]:
        raise Unfit("the level of the item is not known" if level == 1 else f"level {level - 1} is the highest")
    classes = getattr(dyval.MODULES[task], "CLASSES", 1)
    for attempt in range(TRIES):

        def draw(field: str, attempt: int = attempt) -> random.Random:
            return seeds.rng(key, attempt, field)

        label = draw("label").randrange(classes)
        made = dyval.drawn(task, level, state["order"], LEVELS[task][level], label, False, draw)
        if made and _answer(made) != answer:
            return {"made": made}
    raise Unfit(f"no item of level {level} in {TRIES} draws")


def _apply_level(state: State, parameters: Mapping[str, Any]) -> State:
    return dict(parameters["made"])


CHANGES = {
    "names": Change(_draw_names, _apply_names),
    "order": Change(_draw_order, _apply_order),
    "irrelevant": Change(extras.draw, extras.apply),
    "numbers": Change(_draw_values, _apply_values),
    "larger": Change(_draw_level, _apply_level),
    "premise": Change(gaps.draw, gaps.apply),
}
