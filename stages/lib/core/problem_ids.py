"""What the id of a problem says: `benchmark/split/number`, and `~operator` or `~method` for each change made to it."""

from __future__ import annotations


def get_root(problem_id: str) -> str:
    """The id of the problem that a variant comes from, over any number of changes, or the problem's own."""
    return problem_id.partition("~")[0]
