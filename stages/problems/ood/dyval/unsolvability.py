"""Why an item without an answer has none: two ways to complete it, with different answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from stages.problems.ood.dyval.statements import LEAF, find_dependencies

CANDIDATE_VALUES = (1, 4, 9, 2, 0, 16, 3, 25, -1)
MAX_ATTEMPTS = 2000


def find_completions(params: Mapping[str, Any], answer: Callable[[dict[str, Any]], str]) -> tuple[str, str] | None:
    """Two answers that values for the missing sentences lead to; None if no two are found.

    answer(params) solves the completed item. Circles are not completed: that a value may not be calculated from itself
    is what the question says.
    """
    asked = params["asked"] if isinstance(params["asked"], list) else [params["asked"]]
    names = [name for name, _ in find_dependencies(params["statements"], asked).missing]
    values = (True, False) if params["task"] == "bool_logic" else CANDIDATE_VALUES
    found: dict[str, None] = {}
    for tried, chosen in enumerate(product(values, repeat=len(names))):
        added = [[name, LEAF, value] for name, value in zip(names, chosen, strict=True)]
        said = answer({**params, "statements": [*params["statements"], *added]})
        if said != "N/A":
            found[said] = None
        if len(found) == 2:
            return tuple(found)
        if tried > MAX_ATTEMPTS:
            break
    return None
