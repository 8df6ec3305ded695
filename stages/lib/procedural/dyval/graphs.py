"""Directed acyclic graphs for reachability and maximum sum path.

Nodes have a hidden order and link to later ones only. Distractors are further nodes of the same graph that differ in
nothing but that no path of interest uses them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from stages.lib.core.records import Step
from stages.lib.procedural.dyval.arithmetic import join_names
from stages.lib.procedural.dyval.levels import GraphKnobs
from stages.lib.procedural.dyval.statements import Statement
from stages.lib.procedural.dyval.trees import count_distractors

LINK = "to"
MAX_SWAPS_PER_LINK = 16


def grow(rng: random.Random, knobs: GraphKnobs) -> list[list[int]]:
    """children[node], nodes numbered in the hidden order; fewer links than drawn where too few nodes are left."""
    count = knobs.nodes + count_distractors(knobs.nodes, knobs.distractors)
    children = []
    for node in range(count):
        links = min(rng.randint(knobs.min_links, knobs.max_links), count - 1 - node)
        children.append(rng.sample(range(node + 1, count), links))
    return children


def compute_reachable(children: Sequence[Sequence[int]]) -> list[int]:
    """For every node a bit mask of the nodes that can be reached from it, itself included. O(nodes + links) words."""
    masks = [0] * len(children)
    for node in range(len(children) - 1, -1, -1):
        masks[node] = 1 << node
        for child in children[node]:
            masks[node] |= masks[child]
    return masks


def draw_matched_pair(
    rng: random.Random, children: Sequence[Sequence[int]], reached: bool, most: int, least: int = 1
) -> tuple[list[list[int]], list[int]] | None:
    """(the graph with some links exchanged, [start, end]), where end is reachable from start or not.

    Pairs of links exchange their ends again and again, forward in the hidden order, so every node keeps its in-degree and
    out-degree. Two versions are kept, one where end is reachable and one where it is not, that also agree in the number
    of links from start to nodes before end and of links to end from nodes after start; neither has a direct link. So they
    differ in nothing that can be counted. most: upper bound on the nodes on paths; least: lower bound on the number of
    paths. None where not both versions are found.
    """
    children = [list(below) for below in children]
    by_inner: dict[tuple[int, int], dict[bool, list[list[int]]]] = {}
    entered = {child for below in children for child in below}
    pairs = [(a, b) for a, below in enumerate(children) if below for b in range(a + 2, len(children)) if b in entered]
    links = [(node, place) for node, below in enumerate(children) for place in range(len(below))]
    if not pairs:
        return None
    start, end = rng.choice(pairs)
    for swap in range(MAX_SWAPS_PER_LINK * len(links)):
        (a, at), (c, to) = (links[int(rng.random() * len(links))] for _ in range(2))
        b, d = children[a][at], children[c][to]
        if a >= d or c >= b or d in children[a] or b in children[c]:
            continue
        children[a][at], children[c][to] = d, b
        counts = sum(child < end for child in children[start]), sum(end in children[a] for a in range(start + 1, end))
        if swap < len(links) or end in children[start] or not all(counts):
            continue
        number, versions = count_paths(children, start, end), by_inner.setdefault(counts, {})
        if (number > 0) not in versions and (
            not number or number >= least and has_few_path_nodes(children, start, end, most)
        ):
            versions[number > 0] = [list(below) for below in children]
        if len(versions) == 2:
            return versions[reached], [start, end]
    return None


def count_paths(children: Sequence[Sequence[int]], start: int, end: int) -> int:
    """How many paths lead from start to end."""
    counts = {end: 1}
    for node in range(end - 1, start - 1, -1):
        if number := sum(counts.get(child, 0) for child in children[node]):
            counts[node] = number
    return counts.get(start, 0)


def has_few_path_nodes(children: Sequence[Sequence[int]], start: int, end: int, most: int) -> bool:
    """Whether at most `most` nodes lie on paths from start to end."""
    masks = compute_reachable(children)
    return sum(masks[start] >> node & 1 and masks[node] >> end & 1 for node in range(start, end + 1)) <= most


def search_breadth_first(table: dict[str, Sequence[str]], start: str, end: str) -> tuple[list[Step], bool]:
    """Breadth-first search, a line for each node that is visited."""
    reached, queue, steps = {start: None}, [start], []
    for name in queue:
        new = [child for child in table[name] if child not in reached]
        steps.append(Step(text=f"from {name} on to {join_names(new) if new else 'nothing new'}"))
        reached |= dict.fromkeys(new)
        queue += new
        if end in reached:
            break
    steps.append(Step(text=f"{end} is {'' if end in reached else 'not '}reached", value=str(end in reached)))
    return steps, end in reached


def build_adjacency(statements: Sequence[Statement]) -> dict[str, Any]:
    return {statement[0]: statement[2] for statement in statements}
