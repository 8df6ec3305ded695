"""Reachability: can one node of a directed graph be reached from another?

Graphs of both answers agree in all that can be counted (`graphs.draw_matched_pair`): only following the links gives the
answer.
"""

from __future__ import annotations

from typing import Any

from stages.lib.core.records import Step
from stages.lib.procedural.dyval import graphs
from stages.lib.procedural.dyval.arithmetic import join_names
from stages.lib.procedural.dyval.levels import GraphKnobs
from stages.lib.procedural.dyval.statements import Statement

ANSWER_TYPE = "boolean"
CLASSES = 2


def sample(draw: Any, knobs: GraphKnobs, label: int, broken: bool) -> dict[str, Any] | None:
    rng = draw("graph")
    pair = graphs.draw_matched_pair(rng, graphs.grow(rng, knobs), bool(label), knobs.nodes)
    if pair is None:
        return None
    children, targets = pair
    return {"statements": [[node, graphs.LINK, below] for node, below in enumerate(children)], "asked": targets}


def render_sentence(statement: Statement) -> str:
    return f"{statement[0]} points to {join_names(statement[2]) if statement[2] else 'nothing'}."


def render_frame(params: dict[str, Any]) -> tuple[str, str]:
    start, end = params["asked"]
    return "Nodes point to others.", f"Can {end} be reached from {start} by following the links? Answer True or False."


def solve(params: dict[str, Any]) -> tuple[list[Step], str]:
    steps, is_reached = graphs.search_breadth_first(graphs.build_adjacency(params["statements"]), *params["asked"])
    return steps, str(is_reached)
