"""DyVal items for tests."""

from __future__ import annotations

import re
from typing import Any

from stages.lib.core.records import Problem
from stages.lib.procedural import dyval

TREE_TASKS = ("arithmetic", "linear_equation", "bool_logic")
LOGIC_TASKS = ("bool_logic", "deductive_logic", "abductive_logic")
NAME_PATTERN = re.compile(r"\b[bcdfghjklmnpqrstvwz]{3}\b")


def make_items(task: str, n: int = 24, seed: int = 7, **knobs: Any) -> list[Problem]:
    return dyval.generate_problems(task, n, seed, **knobs)


def get_params(problem: Problem) -> dict[str, Any]:
    return problem.program.params
