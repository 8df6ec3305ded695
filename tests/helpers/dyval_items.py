"""DyVal items for tests."""

from __future__ import annotations

import re
from typing import Any

from stages.lib.core.records import Problem
from stages.problems.ood import dyval

TREES = ("arithmetic", "linear_equation", "bool_logic")
LOGIC = ("bool_logic", "deductive_logic", "abductive_logic")
NAME = re.compile(r"\b[bcdfghjklmnpqrstvwz]{3}\b")


def made(task: str, n: int = 24, seed: int = 7, **knobs: Any) -> list[Problem]:
    return dyval.problems(task, n, seed, **knobs)


def params(problem: Problem) -> dict[str, Any]:
    return problem.program.params
