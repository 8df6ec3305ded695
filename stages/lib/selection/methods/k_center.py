"""`k_center`: rows such that no row is far from a chosen one: greedy k-center (Gonzalez 1985; as a coreset for learning,
Sener & Savarese 2018, arXiv 1708.00489).

Each pick is the row farthest from all chosen ones. The largest distance left is the covering radius, at most twice that of
the best set of so many rows. It starts from the labelled rows, or without them from the row nearest to the mean, which is
itself chosen: published versions measured distances from a first row that they then left out, or always began with row 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field
from scipy.spatial.distance import cdist

from stages.lib.core import params as core_params
from stages.lib.selection import budgets, inputs
from stages.lib.selection.rows import NO_VALUES, Budget, Choice, Labelled, Row, Values

BLOCK = 4096  # rows whose distances are computed at once: memory, no result


class Params(core_params.Params):
    """When to stop before the budget is spent."""

    radius: float | None = Field(default=None, ge=0)  # once every row is so near to a chosen one; null: never


DEFAULTS = Params()


def select(
    rows: Sequence[Row],
    embeddings: np.ndarray | None,
    budget: Budget,
    labelled: Labelled | None,
    seed: int,
    params: Params = DEFAULTS,
    values: Values = NO_VALUES,
) -> list[Choice]:
    """Rows in the order of picks, until the budget is spent or the radius reached. The value is the covering radius after
    the pick: the largest Euclidean distance of a row to the nearest chosen or labelled one. It never grows. A copy of a
    chosen row has distance 0, so it is picked only when every row is covered exactly.

    Raises UserError without embeddings, and for a budget that fits no row."""
    given = inputs.sort_inputs("k_center", rows, embeddings, budget, values, ["embeddings"])
    if not given.rows or 0 in budget:
        return []
    vectors, left = given.vectors, budgets.Spending(budget)
    is_open = np.array([row.tokens <= left.tokens for row in given.rows])  # what may be picked; all is to be covered
    if not is_open.any():
        raise budgets.explain_too_small(given.rows, budget)
    if labelled is not None and len(labelled.rows):
        start = inputs.sort_labelled("k_center", labelled, ["embeddings"], vectors.shape[1])
        distances, pick = find_distances(vectors, np.asarray(start.embeddings)), None
    else:
        distances, pick = np.full(len(vectors), np.inf), _find_central(vectors, is_open)
    radius = params.radius if params.radius is not None else -1.0
    choices = []
    while not left.is_over and is_open.any() and distances.max() > radius:
        row = int(np.argmax(np.where(is_open, distances, -1.0))) if pick is None else pick  # of equal ones the first id
        is_open[row] = False
        if not left.take(given.rows[row]):
            continue  # too long for the tokens that are left
        reason = "nearest to the mean" if pick is not None else "farthest from the chosen rows"
        pick = None
        distances = np.minimum(distances, find_distances(vectors, vectors[row : row + 1]))
        choices.append(Choice(given.rows[row].id, reason, float(distances.max())))
    return choices


def find_distances(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(rows,) Euclidean distance of each row to the nearest of `centres` (one or more), from differences in float64, so
    that it is exactly 0 for equal rows. Memory grows with the rows alone."""
    nearest = np.empty(len(vectors))
    size = max(1, BLOCK * 64 // max(64, len(centres)))
    for start in range(0, len(vectors), size):
        block = vectors[start : start + size]
        nearest[start : start + size] = cdist(block, centres, "sqeuclidean").min(1)
    return np.sqrt(nearest)


def _find_central(vectors: np.ndarray, is_open: np.ndarray) -> int:
    """The row nearest to the mean of all, among those that may be picked; of equal ones the first."""
    return int(np.argmin(np.where(is_open, find_distances(vectors, vectors.mean(0, keepdims=True)), np.inf)))
