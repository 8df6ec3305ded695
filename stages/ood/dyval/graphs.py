"""Directed graphs without circles, the same for reachability and maximum sum paths.

Nodes stand in a hidden order and point to later ones only. Distractors are more nodes of the same graph: nothing tells
them from the others but that no path of interest runs over them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from stages.lib.records import Step
from stages.ood.dyval.arithmetic import listed
from stages.ood.dyval.levels import Graphs
from stages.ood.dyval.statements import Statement
from stages.ood.dyval.trees import share

TO = "to"


def grow(rng: random.Random, knobs: Graphs) -> list[list[int]]:
    """children[node], nodes numbered in the hidden order; fewer links than wished where too few nodes are left."""
    count = knobs.nodes + share(knobs.nodes, knobs.distractors)
    children = []
    for node in range(count):
        links = min(rng.randint(knobs.min_links, knobs.max_links), count - 1 - node)
        children.append(rng.sample(range(node + 1, count), links))
    return children


def reach(children: Sequence[Sequence[int]]) -> list[int]:
    """For every node a bit mask of the nodes that can be reached from it, itself included. O(nodes + links) words."""
    masks = [0] * len(children)
    for node in range(len(children) - 1, -1, -1):
        masks[node] = 1 << node
        for child in children[node]:
            masks[node] |= masks[child]
    return masks


def small(masks: Sequence[int], start: int, end: int, most: int) -> bool:
    """Whether at most `most` nodes lie on paths from start to end."""
    return sum(masks[start] >> node & 1 and masks[node] >> end & 1 for node in range(start, end + 1)) <= most


def search(table: dict[str, Sequence[str]], start: str, end: str) -> tuple[list[Step], bool]:
    """Breadth-first search, a line for each node that is visited."""
    reached, queue, steps = {start: None}, [start], []
    for name in queue:
        new = [child for child in table[name] if child not in reached]
        steps.append(Step(text=f"from {name} on to {listed(new) if new else 'nothing new'}"))
        reached |= dict.fromkeys(new)
        queue += new
        if end in reached:
            break
    steps.append(Step(text=f"{end} is {'' if end in reached else 'not '}reached", value=str(end in reached)))
    return steps, end in reached


def table(statements: Sequence[Statement]) -> dict[str, Any]:
    return {statement[0]: statement[2] for statement in statements}
