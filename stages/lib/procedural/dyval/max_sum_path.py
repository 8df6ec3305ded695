"""Maximum sum path: the largest sum of node values on a path between two nodes of a directed acyclic graph.

Solved by dynamic programming, linear in the links; DyVal enumerates all paths, whose number is exponential. One problem
in `CLASSES` has no path and the answer N/A (`graphs.draw_matched_pair`). The answer is also N/A where the last node is not
described.
"""

from __future__ import annotations

from typing import Any

from stages.lib.core.records import Step
from stages.lib.procedural.dyval import graphs
from stages.lib.procedural.dyval.arithmetic import join_names
from stages.lib.procedural.dyval.levels import GraphKnobs
from stages.lib.procedural.dyval.statements import Statement, find_dependencies

ANSWER_TYPE = "integer"
CLASSES = 12


def sample(draw: Any, knobs: GraphKnobs, label: int, broken: bool) -> dict[str, Any] | None:
    rng = draw("graph")
    pair = graphs.draw_matched_pair(rng, graphs.grow(rng, knobs), label != 0, knobs.nodes, least=2)
    if pair is None:
        return None
    (children, targets), values = pair, draw("values")
    statements = [[node, graphs.LINK, below, values.randint(1, 10)] for node, below in enumerate(children)]
    return {"statements": statements, "asked": targets}


def render_sentence(statement: Statement) -> str:
    name, _, below, value = statement
    return f"{name} has the value {value} and points to {join_names(below) if below else 'nothing'}."


def render_frame(params: dict[str, Any]) -> tuple[str, str]:
    start, end = params["asked"]
    return "Nodes have values and point to others.", (
        f"What is the largest sum of values on a path from {start} to {end}, both included? If there is no path, "
        "answer N/A."
    )


def solve(params: dict[str, Any]) -> tuple[list[Step], str]:
    statements, (start, end) = params["statements"], params["asked"]
    table, value = graphs.build_adjacency(statements), {statement[0]: statement[3] for statement in statements}
    if end not in value and find_path_nodes(statements, start, end):
        return [Step(text=f"there is a path to {end}, whose value is not told", value="N/A")], "N/A"
    best: dict[str, int] = {}
    steps = []
    for name in find_dependencies(statements, [start]).names:  # children first
        if name == end:
            best[name], line = value[name], f"{name}: {value[name]}"
        elif onward := [child for child in table[name] if child in best]:
            ways = [best[child] for child in onward]
            best[name] = value[name] + max(ways)
            most = f"max({', '.join(map(str, ways))})" if len(ways) > 1 else str(ways[0])
            line = f"{name}, then {join_names(onward)}: {value[name]} + {most} = {best[name]}"
        else:
            continue
        steps.append(Step(text=line, value=str(best[name])))
    if start in best:
        return steps, str(best[start])
    return graphs.search_breadth_first(table, start, end)[0], "N/A"


def find_path_nodes(statements: list[Statement], start: str, end: str) -> list[str]:
    """The names on any path from start to end, in reverse order."""
    table, leads = graphs.build_adjacency(statements), {end}
    for name in find_dependencies(statements, [start]).names:
        if any(child in leads for child in table[name]):
            leads.add(name)
    return [name for name in find_dependencies(statements, [start]).names if name in leads]
