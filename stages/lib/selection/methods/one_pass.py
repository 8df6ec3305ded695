"""`one_pass`: one scan that keeps a row of every group of near-duplicates (leader clustering, Hartigan 1975, chapter 3).

A row joins the leader to which its cosine is highest, if that is `tau` or more; else it leads a new cluster. The result
depends on the order of the scan: by default the highest quality comes first, so leaders are the best of their clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field
from threadpoolctl import threadpool_limits

from stages.lib.core import params as core_params
from stages.lib.core import seeds
from stages.lib.selection import budgets, inputs
from stages.lib.selection.rows import NO_VALUES, VERSION, Budget, Choice, Labelled, Row, Values

BLOCK, PART = 512, 8192  # rows and leaders that are compared at once: speed and memory, no result
ROUNDING = 1e-9  # a cosine this little below tau counts as tau: that of two equal rows is 1 only up to rounding


class Params(core_params.Params):
    """When rows are near-duplicates, and which of them comes first."""

    tau: float = Field(default=0.85, ge=-1, le=1)  # the cosine from which on they are
    order: Literal["quality", "input", "seeded"] = "quality"  # of the scan; input: as the rows come
    running_mean: bool = False  # a leader moves to the mean of its cluster; slower, a row at a time


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
    """The best row of each cluster by quality (its leader, without one), in the order of quality or else of the scan, until
    the budget is spent. There may be fewer clusters than the budget asks for. The value is the size of the cluster.

    Raises UserError without embeddings, or without `values.quality` if the order is by quality."""
    needs = ["embeddings", *(["quality"] if params.order == "quality" else [])]
    given = inputs.sort_inputs("one_pass", rows, embeddings, budget, values, needs)
    if not given.rows:
        return []
    has_quality = len(given.quality) > 0
    by_quality = budgets.rank(given.rows, lambda i: given.quality[i] if has_quality else 0.0)
    order = {
        "quality": lambda: by_quality,
        "input": lambda: np.argsort(given.places).tolist(),
        "seeded": lambda: sorted(
            by_quality, key=lambda i: seeds.key(seed, "selection", VERSION, given.rows[i].id, "scan order")
        ),
    }[params.order]()
    labels = assign_leaders(inputs.normalise(given.vectors)[order], params.tau, params.running_mean)
    members: dict[int, list[int]] = {}
    for i, label in zip(order, labels.tolist(), strict=True):
        members.setdefault(label, []).append(i)
    place = {i: n for n, i in enumerate(by_quality)}
    best = {min(group, key=place.__getitem__) if has_quality else group[0]: len(group) for group in members.values()}
    ranked = sorted(best, key=place.__getitem__) if has_quality else list(best)
    taken = budgets.take_in_order(given.rows, ranked, budget)
    return [Choice(given.rows[i].id, f"best of a cluster of {best[i]}", float(best[i])) for i in taken]


def assign_leaders(vectors: np.ndarray, tau: float, running_mean: bool = False) -> np.ndarray:
    """(rows,) the number of the cluster of each row, in the order in which clusters begin.

    vectors: (rows, width), of length 1, in the order of the scan. Equal cosines: the older leader."""
    with threadpool_limits(limits=1, user_api="blas"):
        return _assign_moving(vectors, tau) if running_mean else _assign_fixed(vectors, tau)


def _assign_fixed(vectors: np.ndarray, tau: float) -> np.ndarray:
    """Block by block, with the result of a scan row by row: leaders of earlier blocks are compared with all rows at once,
    those that begin within the block one after another."""
    labels, leaders, count = np.empty(len(vectors), int), np.empty((0, vectors.shape[1])), 0
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        best, nearest = _find_nearest(block, leaders[:count])
        among = block @ block.T
        fresh: list[int] = []  # rows of the block that lead
        first_fresh = count
        for i in range(len(block)):
            cosine, label = best[i], nearest[i]
            if fresh:
                cosines = among[i, fresh]
                j = int(cosines.argmax())
                if cosines[j] > cosine:
                    cosine, label = cosines[j], first_fresh + j
            if cosine < tau - ROUNDING:
                label = first_fresh + len(fresh)
                fresh.append(i)
            labels[start + i] = label
        leaders, count = _append(leaders, count, block[fresh]), count + len(fresh)
    return labels


def _assign_moving(vectors: np.ndarray, tau: float) -> np.ndarray:
    labels, sums, count = np.empty(len(vectors), int), np.empty((0, vectors.shape[1])), 0
    leaders = sums
    for i, vector in enumerate(vectors):
        cosines = leaders[:count] @ vector
        label = int(cosines.argmax()) if count else -1
        if not count or cosines[label] < tau - ROUNDING:
            label, sums, leaders = count, _append(sums, count, vector[None]), _append(leaders, count, vector[None])
            count += 1
        else:
            sums[label] += vector
            leaders[label] = inputs.normalise(sums[label : label + 1])[0]
        labels[i] = label
    return labels


def _find_nearest(block: np.ndarray, leaders: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of a block the highest cosine to a leader (-inf without one) and the first leader that has it."""
    best, nearest = np.full(len(block), -np.inf), np.full(len(block), -1)
    for start in range(0, len(leaders), PART):
        cosines = block @ leaders[start : start + PART].T
        places = cosines.argmax(1)
        highest = cosines[np.arange(len(block)), places]
        is_higher = highest > best
        best[is_higher], nearest[is_higher] = highest[is_higher], places[is_higher] + start
    return best, nearest


def _append(array: np.ndarray, count: int, more: np.ndarray) -> np.ndarray:
    """An array whose first `count` rows are used, with more rows after them; it doubles when it is full."""
    if count + len(more) > len(array):
        grown = np.empty((max(2 * len(array), count + len(more)), array.shape[1]))
        grown[:count] = array[:count]
        array = grown
    array[count : count + len(more)] = more
    return array
