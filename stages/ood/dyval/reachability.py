"""Reachability: can one node of a directed graph be reached from another?

Both answers are asked of the same graphs. Where the graph allows it, the first node points to something and something
points to the second, and no single link decides: neither answer can be seen at the ends.
"""

from __future__ import annotations

from typing import Any

from stages.lib.records import Step
from stages.ood.dyval import graphs
from stages.ood.dyval.arithmetic import listed
from stages.ood.dyval.levels import Graphs
from stages.ood.dyval.statements import Statement

ANSWER_TYPE = "boolean"
CLASSES = 2


def sample(draw: Any, knobs: Graphs, label: int, broken: bool) -> dict[str, Any] | None:
    rng = draw("graph")
    children = graphs.grow(rng, knobs)
    masks, entered = graphs.reach(children), {child for below in children for child in below}
    pairs = [
        (start, end)
        for start, below in enumerate(children)
        if below
        for end in range(len(children))
        if end != start and end in entered and end not in below and (masks[start] >> end & 1) == label
    ]
    if label:
        pairs = [pair for pair in pairs if graphs.small(masks, *pair, knobs.nodes)]
    if not pairs:
        return None
    start, end = rng.choice(pairs)
    return {"statements": [[node, graphs.TO, below] for node, below in enumerate(children)], "asked": [start, end]}


def sentence(statement: Statement) -> str:
    return f"{statement[0]} points to {listed(statement[2]) if statement[2] else 'nothing'}."


def ask(params: dict[str, Any]) -> tuple[str, str]:
    start, end = params["asked"]
    return "Nodes point to others.", f"Can {end} be reached from {start} by following the links? Answer True or False."


def solve(params: dict[str, Any]) -> tuple[list[Step], str]:
    steps, found = graphs.search(graphs.table(params["statements"]), *params["asked"])
    return steps, str(found)
