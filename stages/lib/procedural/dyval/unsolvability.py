"""Proof that an item is unsolvable: two completions with different answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from stages.lib.procedural.dyval.statements import LEAF, find_dependencies

CANDIDATE_VALUES = (1, 4, 9, 2, 0, 16, 3, 25, -1)
MAX_ATTEMPTS = 2000


def find_completions(params: Mapping[str, Any], answer: Callable[[dict[str, Any]], str]) -> tuple[str, str] | None:
    """Two different answers for two completions of the missing statements; None if there are none.

    answer(params) solves a completed item. Cycles are not completed: the question says that no value can be calculated
    from itself.
    """
    targets = params["asked"] if isinstance(params["asked"], list) else [params["asked"]]
    names = [name for name, _ in find_dependencies(params["statements"], targets).missing]
    values = (True, False) if params["task"] == "bool_logic" else CANDIDATE_VALUES
    answers: dict[str, None] = {}
    for tried, candidate in enumerate(product(values, repeat=len(names))):
        added = [[name, LEAF, value] for name, value in zip(names, candidate, strict=True)]
        result = answer({**params, "statements": [*params["statements"], *added]})
        if result != "N/A":
            answers[result] = None
        if len(answers) == 2:
            first, second = answers
            return first, second
        if tried > MAX_ATTEMPTS:
            break
    return None
