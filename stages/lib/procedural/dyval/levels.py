"""The knobs of every task and its levels of difficulty, in one table.

depth, width       levels of the tree with its leaves, operands of an operation that is not unary
operations         how many operations a tree draws from: the first of + - * / sqrt square, or of AND OR NOT
links              further operands of such an operation, from anywhere below (they make the tree a DAG)
dags               coefficients of the two equations that are described by a separate tree
nodes, min_links, max_links     of the general graphs
distractors        statements that the answer does not need, in thirds of the problem's size
deleted, cycles    deleted sentences, and links that close a cycle: the answer becomes N/A. Every item then has a second
                   graph, which is damaged instead in the items that keep their answer
unsolvable         the share of items whose answer becomes N/A

The names in DyVal: depth, num_children_per_node, extra_links_per_node, num_dags, num_nodes_per_sample,
min/max_links_per_node, add_rand_desc, delete_desc, add_cycles. Level 2 is DyVal's default, except in logic with rules.
Level 0 is for models that are too small for DyVal: arithmetic has one operation on two numbers. Deductive logic has no
level 0, since fewer rules than those of level 1 would show the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

from stages.lib.core.errors import UserError

Order = Literal["topological", "reversed", "random"]
ORDERS: tuple[Order, ...] = get_args(Order)
Task = Literal[
    "arithmetic", "linear_equation", "bool_logic", "deductive_logic", "abductive_logic", "reachability", "max_sum_path"
]
TASKS: tuple[Task, ...] = get_args(Task)


class TreeKnobs(NamedTuple):
    """arithmetic, bool_logic"""

    depth: int = 3
    width: int = 2
    operations: int = 6
    links: int = 1
    distractors: int = 0
    deleted: int = 0
    cycles: int = 0
    unsolvable: float = 1 / 3


class EquationKnobs(NamedTuple):
    """linear_equation"""

    depth: int = 3
    width: int = 2
    operations: int = 6
    links: int = 1
    dags: int = 1
    distractors: int = 0
    deleted: int = 0
    cycles: int = 0
    unsolvable: float = 1 / 3


class RuleKnobs(NamedTuple):
    """deductive_logic, abductive_logic"""

    depth: int = 3
    width: int = 2
    distractors: int = 0


class GraphKnobs(NamedTuple):
    """reachability, max_sum_path"""

    nodes: int = 10
    min_links: int = 1
    max_links: int = 3
    distractors: int = 0


Knobs = TreeKnobs | EquationKnobs | RuleKnobs | GraphKnobs

_TREES = {
    0: {"depth": 2, "links": 0, "operations": 3},
    1: {"depth": 2, "links": 0},
    2: {"depth": 3},
    3: {"depth": 3, "width": 3, "distractors": 1},
    4: {"depth": 4, "distractors": 2},
}
_BOOLEAN = _TREES | {  # a single operation would reveal its answer
    0: {"depth": 3, "links": 0, "operations": 2},
    1: {"depth": 3, "links": 0},
}
_EQUATIONS = {
    0: {"depth": 2, "dags": 0},
    1: {"depth": 2, "links": 0},
    2: {"depth": 3},
    3: {"depth": 3, "dags": 2, "distractors": 1},
    4: {"depth": 4, "dags": 2, "distractors": 2},
}
_DEDUCTIVE = {1: {"depth": 3}, 2: {"depth": 4}, 3: {"depth": 4, "distractors": 2}, 4: {"depth": 5, "distractors": 2}}
_ABDUCTIVE = {  # deeper or wider, so that the target has several paths
    0: {"depth": 3},
    1: {"depth": 3, "width": 3},
    2: {"depth": 4},
    3: {"depth": 4, "width": 3, "distractors": 1},
    4: {"depth": 5, "width": 3, "distractors": 2},
}
_GRAPHS = {
    0: {"nodes": 7, "max_links": 2},
    1: {"nodes": 8},
    2: {"nodes": 10},
    3: {"nodes": 14, "distractors": 1},
    4: {"nodes": 18, "min_links": 2, "max_links": 4, "distractors": 2},
}
_PATHS = _GRAPHS | {0: {"nodes": 8, "max_links": 2}}  # in fewer nodes two paths are rare
LEVELS: dict[str, dict[int, Knobs]] = {
    task: {level: kind(**knobs) for level, knobs in table.items()}
    for task, (kind, table) in {
        "arithmetic": (TreeKnobs, _TREES),
        "linear_equation": (EquationKnobs, _EQUATIONS),
        "bool_logic": (TreeKnobs, _BOOLEAN),
        "deductive_logic": (RuleKnobs, _DEDUCTIVE),
        "abductive_logic": (RuleKnobs, _ABDUCTIVE),
        "reachability": (GraphKnobs, _GRAPHS),
        "max_sum_path": (GraphKnobs, _PATHS),
    }.items()
}
DEFAULT_LEVEL = 2

_ALLOWED_RANGES = {
    "depth": (2, 7),
    "width": (2, 5),
    "operations": (2, 6),
    "links": (0, 4),
    "dags": (0, 6),
    "nodes": (6, 200),
    "min_links": (0, 10),
    "max_links": (1, 10),
    "distractors": (0, 20),
    "deleted": (0, 10),
    "cycles": (0, 5),
    "unsolvable": (0, 1),
}
_MAX_LEAVES = 1000


def get_knobs(task: str, level: int, changes: Mapping[str, Any]) -> Knobs:
    """The knobs of a level with `changes` made. Raises UserError for a name or value that the task cannot have."""
    if task not in LEVELS:
        raise UserError(f"dyval: task {task!r} does not exist; use one of {', '.join(TASKS)}")
    if level not in LEVELS[task]:
        raise UserError(
            f"dyval: level {level!r} of {task} does not exist; use one of {', '.join(map(str, LEVELS[task]))}"
        )
    knobs: Any = LEVELS[task][level]
    for name, value in changes.items():
        if name not in knobs._fields:
            raise UserError(f"dyval: {task} has no knob {name!r}; it has {', '.join(knobs._fields)}")
        low, high = _ALLOWED_RANGES[name]
        whole = name == "unsolvable" or (isinstance(value, int) and not isinstance(value, bool))
        if not whole or not low <= value <= high:
            raise UserError(f"dyval: {name} of {task} is {value!r}; allowed is {low} to {high}")
    knobs = knobs._replace(**changes)
    if getattr(knobs, "width", 0) ** (getattr(knobs, "depth", 1) - 1) > _MAX_LEAVES:
        raise UserError(
            f"dyval: depth {knobs.depth} with width {knobs.width} gives over {_MAX_LEAVES} leaves; lower one"
        )
    if task.endswith("logic") and knobs.depth < 3:
        raise UserError(
            f"dyval: {task} of depth {knobs.depth} shows its answer in one sentence; set depth to 3 or more"
        )
    if getattr(knobs, "depth", 3) < 3 and knobs.distractors:
        raise UserError("dyval: a tree of depth 2 is too small to hide a distractor; set depth to 3 or more")
    if getattr(knobs, "cycles", 0) and knobs.depth < 3:
        raise UserError("dyval: a tree of depth 2 has no room for a cycle; set depth to 3 or more")
    if isinstance(knobs, GraphKnobs) and knobs.min_links > knobs.max_links:
        raise UserError(f"dyval: min_links {knobs.min_links} is above max_links {knobs.max_links}")
    if task == "max_sum_path" and knobs.max_links < 2:
        raise UserError("dyval: where every node has one link there is one path at most; set max_links to 2 or more")
    if isinstance(knobs, EquationKnobs) and not knobs.dags and (knobs.deleted or knobs.cycles or knobs.distractors):
        raise UserError("dyval: with dags 0 nothing is described that could be deleted, closed or added to; set dags")
    return knobs
