"""What a DyVal item no longer tells: a sentence is about another name now, or it closes a circle. The answer is N/A.

No sentence is taken away and none changes its form, so that neither words nor length tell which items have no answer;
only following the names does. (Deleted sentences, as in DyVal, were told by a bag of words in 66 %.) The proof are two
completions: statements of which either could be the missing one (for a circle: one of its names, taken as known), with
different answers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from stages.ood import dyval
from stages.ood.dyval import bool_logic, trees
from stages.ood.dyval.names import names
from stages.ood.dyval.proof import NUMBERS
from stages.ood.dyval.statements import LEAF, Statement, needed
from stages.ood.operators import extras
from stages.ood.operators.operator import State, Unfit

CIRCLES = 0.25  # of the items of a task whose sentences can close one


def draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    """{"kind": another | circle, "at": the statement, "new": what stands there, "put": the statement that the
    completions stand for, "completions": [[statement, answer], [statement, answer]]}."""
    task, answer = state["task"], _answer(state)
    if task == "reachability":
        raise Unfit("a node that is not described may be read as pointing to nothing")
    if answer in ("N/A", None):
        raise Unfit("the item has no answer that could get lost")
    if task in ("arithmetic", "linear_equation", "bool_logic") and rng.random() < CIRCLES:
        found = _circle(state, rng)
        if found:
            return found
    return _another(state, rng)


def apply(state: State, parameters: Mapping[str, Any]) -> State:
    return {**_put(state, parameters["at"], parameters["new"]), "broken": True}


def proven(state: State, change: Mapping[str, Any]) -> list[str]:
    """Faults of the proof that the answer of `state` is open once `change` is made."""
    whole = apply(state, change) if change["kind"] == "circle" else state
    (one, first), (other, second) = change["completions"]
    faults = ["the completions do not differ"] if one == other or first == second else []
    for statement, answer in change["completions"]:
        if statement[0] != whole["statements"][change["put"]][0]:
            faults.append(f"a completion is about {statement[0]}, not about what is missing")
        elif _answer(_put(whole, change["put"], statement)) != answer:
            faults.append(f"with {statement} the answer is not {answer}")
    if change["kind"] == "circle" and not needed(whole["statements"], _asked(whole)).circle:
        faults.append("no circle is needed")
    return faults


def _answer(state: State) -> str | None:
    """The answer of a state; None where it cannot be evaluated (two equations that are one)."""
    try:
        return dyval.rederive(state)[2]
    except (TypeError, ValueError, ArithmeticError):
        return None


def _asked(state: State) -> list[str]:
    if "observed" in state:
        return [state["observed"][0]]
    return state["asked"] if isinstance(state["asked"], list) else [state["asked"]]


def _put(state: State, at: int, statement: Statement) -> State:
    return {**state, "statements": [*state["statements"][:at], statement, *state["statements"][at + 1 :]]}


def _another(state: State, rng: random.Random) -> dict[str, Any]:
    """A needed sentence told of a name that nothing rests on."""
    told, answer = state["statements"], _answer(state)
    taken = extras.named(state)
    free = next(name for name in names(rng, len(taken) + 1) if name not in taken)
    able = _needed(state)
    for at in rng.sample(able, len(able)):
        new = [free, *told[at][1:]]
        if _answer(_put(state, at, new)) != "N/A":
            continue
        for other in _alternatives(state, told[at], rng):
            found = _answer(_put(state, at, other))
            if found not in (answer, None) and (found != "N/A" or state["task"].endswith("ductive_logic")):
                return {"kind": "another", "at": at, "new": new, "put": at,
                        "completions": [[told[at], answer], [other, found]]}  # fmt: skip
    raise Unfit("no description whose loss leaves two answers")


def _needed(state: State) -> list[int]:
    """The sentences without which the answer may be open. Of a graph only the last node's: any other that is not
    described may be read as pointing to nothing."""
    told, tops = state["statements"], _asked(state)
    if state["task"] == "max_sum_path":
        return [i for i, statement in enumerate(told) if statement[0] == tops[1]]
    inside = needed(told, tops).names
    return [
        i for i, s in enumerate(told) if s[0] in inside and (s[0] not in tops or state["task"] == "abductive_logic")
    ]


def _alternatives(state: State, statement: Statement, rng: random.Random) -> Iterator[Statement]:
    """What else might be said of the same name."""
    task = state["task"]
    if task.endswith("ductive_logic"):
        if statement[1] != LEAF:
            yield [*statement[:3], not statement[3]]
        else:
            yield [statement[0], LEAF, not statement[2]]
        return
    if task == "max_sum_path":
        yield from ([*statement[:3], value] for value in rng.sample(range(1, 11), 10))
        return
    values = (True, False) if task == "bool_logic" else NUMBERS
    for value in rng.sample(values, len(values)):
        yield [statement[0], LEAF, value]


def _circle(state: State, rng: random.Random) -> dict[str, Any] | None:
    told, tops = state["statements"], _asked(state)
    unary = dyval.bool_logic.UNARY if state["task"] == "bool_logic" else dyval.arithmetic.UNARY
    closed = trees.with_circles(rng, told, tops, 1, unary)
    if closed is None:
        return None
    (high,) = trees.cuts(told, closed)
    at = next(i for i, (old, new) in enumerate(zip(told, closed, strict=True)) if list(old) != new)
    put = next(i for i, statement in enumerate(told) if statement[0] == high)
    old = rng.choice(told[at][2])  # the link upwards stands in the place of another operand
    new = [*closed[at][:2], [high if one == old else one for one in told[at][2]], *closed[at][3:]]
    change = {"kind": "circle", "at": at, "new": new, "put": put}
    whole, found = apply(state, change), {}
    if _answer(whole) != "N/A":
        return None
    if state["task"] == "bool_logic" and len(bool_logic.answers(whole["statements"], tops[0], [high])) == 1:
        return None  # only one value fits all that is told
    for statement in _alternatives({"task": state["task"]}, told[put][:1], rng):
        answer = _answer(_put(whole, put, statement))
        if answer not in ("N/A", None):
            found.setdefault(answer, statement)
    if len(found) < 2:
        return None
    return change | {"completions": [[statement, answer] for answer, statement in list(found.items())[:2]]}
