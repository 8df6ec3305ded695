"""Descriptions that a DyVal item does not need, of the forms and names of the others, and hung onto its graph.

DyVal adds trees that stand apart (`add_rand_desc`), which a reader can tell by that. Here they rest on what is there,
as the task's own distractors do (`dyval/trees.py`); in a general graph they are more nodes, entered and left by links,
over which no path of interest runs.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from stages.ood.dyval import abductive_logic, arithmetic, bool_logic, trees
from stages.ood.dyval.graphs import TO
from stages.ood.dyval.names import names
from stages.ood.dyval.statements import LEAF, Statement, arrange, operands, renamed
from stages.ood.operators.operator import State, Unfit

THIRDS = (1, 2)  # how much is added, in thirds of the item
TRIES = 60


def named(state: State) -> list[str]:
    """All names of an item, in the order in which they stand."""
    asked = state["asked"] if isinstance(state["asked"], list) else [state["asked"]]
    told = [one for statement in state["statements"] for one in (statement[0], *operands(statement))]
    return list(dict.fromkeys([*told, *asked, *state.get("observed", [])[:1]]))


def draw(state: State, rng: random.Random, knobs: Mapping[str, Any]) -> dict[str, Any]:
    """{"added": [[place, statement], ...], "links": [[place, statement], ...]}: the added ones one after the other, then
    the links that lead to them, as statements that replace what stood there."""
    graph = state["task"] in ("reachability", "max_sum_path")
    size = trees.share(len(state["statements"]), rng.choice(THIRDS))
    made, linked = _nodes(state, rng, size) if graph else (_described(state, rng, size), [])
    taken = named(state)
    new = {statement[0] for statement in made} | {one for s in made for one in operands(s) if not isinstance(one, str)}
    free = [name for name in names(rng, len(taken) + len(new) + 20) if name not in taken]
    word = {name: name for name in taken} | dict(zip(sorted(new), free, strict=False))
    told, added = [renamed(statement, word) for statement in linked or state["statements"]], []
    links = [[i, s] for i, (s, old) in enumerate(zip(told, state["statements"], strict=True)) if s != old]
    for statement in made:
        statement = renamed(statement, word)
        place = _place(told, statement, state["order"], rng)
        told.insert(place, statement)
        added.append([place, statement])
    return {"added": added, "links": links}


def apply(state: State, parameters: Mapping[str, Any]) -> State:
    told = list(state["statements"])
    for place, statement in parameters["links"]:
        told[place] = statement
    for place, statement in parameters["added"]:
        told.insert(place, statement)
    return {**state, "statements": told}


def _place(told: Sequence[Statement], new: Statement, order: str, rng: random.Random) -> int:
    """A place that the order allows: topological, after what it rests on and before what rests on it."""
    below = [i for i, statement in enumerate(told) if statement[0] in operands(new)]
    above = [i for i, statement in enumerate(told) if new[0] in operands(statement)]
    if order == "random":
        return rng.randint(0, len(told))
    early, late = (below, above) if order == "topological" else (above, below)
    low, high = max(early, default=-1) + 1, min(late, default=len(told))
    return rng.randint(low, high) if low <= high else low


def _described(state: State, rng: random.Random, size: int) -> list[Statement]:
    """Statements about new names (whole numbers) that nothing needed rests on."""
    task, told = state["task"], state["statements"]
    if task == "abductive_logic":
        return abductive_logic.aside(rng, told, len(told), size)
    if task == "deductive_logic":
        values: dict[Any, Any] = dict.fromkeys(named(state), True)
        made = _tried(told, size, lambda *_: True, values, rng)
        return [s if s[1] == LEAF else [*s[:2], list(dict.fromkeys(s[2])), *s[3:]] for s in made]
    apply = bool_logic.apply if task == "bool_logic" else arithmetic.apply
    values = trees.evaluate(told, [statement[0] for statement in told], apply)
    if any(name not in values for name in named(state)):
        raise Unfit("something of the item has no value to rest on")
    return _tried(told, size, apply, values, rng)


def _tried(told: list[Statement], size: int, apply: trees.Apply, values: dict[Any, Any], rng: random.Random) -> Any:
    for _ in range(TRIES):
        thirds = max(1, round(3 * size / len(told)))
        made = trees.distractors(rng, told, thirds, apply, values)
        if made:
            return made
    raise Unfit(f"no descriptions with values in {TRIES} draws")


def _nodes(state: State, rng: random.Random, size: int) -> tuple[list[Statement], list[Statement]]:
    """(new nodes, the old ones with links to them): the graph stays without circles, and no new node lies on a path
    between the two that are asked about."""
    told = [[s[0], s[1], list(s[2]), *s[3:]] for s in state["statements"]]
    start, end = state["asked"]
    most, made = max(len(s[2]) for s in told), []
    for number in range(size):
        ranked = [s[0] for s in reversed(arrange([*told, *made], "topological", lambda field: rng))]
        table = {s[0]: s for s in (*told, *made)}
        at = rng.randint(1, len(ranked) - 1)
        children = rng.sample(ranked[at:], min(len(rng.choice(told)[2]), len(ranked) - at))
        entered = sum(rng.choice(ranked) in s[2] for s in told)
        open_ = [name for name in ranked[:at] if 0 < len(table[name][2]) < most]
        if end in children or _reached(table, children) & {end}:
            open_ = [name for name in open_ if name not in _reached(table, [start])]
        above = rng.sample(open_, min(entered, len(open_)))
        if not above and not children:  # it would stand apart
            children = [rng.choice(ranked[at:])]
        for name in above:
            table[name][2].insert(rng.randint(0, len(table[name][2])), number)
        made.append([number, TO, children, *([rng.randint(1, 10)] if state["task"] == "max_sum_path" else [])])
    return made, told


def _reached(table: Mapping[Any, Statement], names: Sequence[Any]) -> set[Any]:
    found, queue = set(names), list(names)
    for name in queue:
        new = [child for child in (table[name][2] if name in table else ()) if child not in found]
        found |= set(new)
        queue += new
    return found
