"""Reachability: can one node of a directed graph be reached from another?

Both answers are asked of graphs that are alike in all that can be counted (`graphs.matched`): only following the links
tells.
"""

from __future__ import annotations

from typing import Any

from stages.lib.core.records import Step
from stages.problems.ood.dyval import graphs
from stages.problems.ood.dyval.arithmetic import listed
from stages.problems.ood.dyval.levels import Graphs
from stages.problems.ood.dyval.statements import Statement

ANSWER_TYPE = "boolean"
CLASSES = 2


def sample(draw: Any, knobs: Graphs, label: int, broken: bool) -> dict[str, Any] | None:
    rng = draw("graph")
    found = graphs.matched(rng, graphs.grow(rng, knobs), bool(label), knobs.nodes)
    if found is None:
        return None
    children, asked = found
    return {"statements": [[node, graphs.TO, below] for node, below in enumerate(children)], "asked": asked}


def sentence(statement: Statement) -> str:
    return f"{statement[0]} points to {listed(statement[2]) if statement[2] else 'nothing'}."


def ask(params: dict[str, Any]) -> tuple[str, str]:
    start, end = params["asked"]
    return "Nodes point to others.", f"Can {end} be reached from {start} by following the links? Answer True or False."


def solve(params: dict[str, Any]) -> tuple[list[Step], str]:
    steps, found = graphs.search(graphs.table(params["statements"]), *params["asked"])
    return steps, str(found)
