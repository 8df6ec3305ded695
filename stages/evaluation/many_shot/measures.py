"""Figures of a many-shot study: accuracy against K, the best K, and how much of the spread is the order of the shots.

The best of several K, or of ten orders, looks better than it is, since the maximum of noisy numbers lies above their mean.
So the best K has an interval, its accuracy is measured on units that did not choose it, and the gap between the best and
the worst order stands beside the gap that equally good orders would show.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from stages.evaluation.many_shot.answering import Row
from stages.evaluation.many_shot.episodes import VERSION
from stages.lib.core import seeds
from stages.lib.core.problem_ids import get_root
from stages.lib.metrics import intervals

RESAMPLES = 1000


class Curve(NamedTuple):
    """values (queries, ks): shares of the sets after which a query is right; units (queries,): what is resampled:
    the function of a numeric world, else the query's root."""

    ks: list[int]
    values: np.ndarray
    units: list[str]


def collect_curve(rows: Sequence[Row], oracle: str | None = None) -> Curve:
    """Rows of one world and arm. oracle: its answers instead of the model's; K = 0 is then left out."""
    ks = sorted({row.k for row in rows if not row.order_seed and (row.k or oracle is None)})
    cells: dict[tuple[str, str], dict[int, list[bool]]] = {}
    for row in rows:
        if not row.order_seed and row.k in ks:
            right = row.correct if oracle is None else oracle in row.oracles
            cells.setdefault((row.episode, row.query), {}).setdefault(row.k, []).append(right)
    whole = {place: own for place, own in sorted(cells.items())}
    values = np.array([[np.mean(own[k]) for k in ks] for own in whole.values()])
    is_numeric = len({episode for episode, _ in whole}) > 1
    return Curve(ks, values, [episode if is_numeric else get_root(query) for episode, query in whole])


def describe_curve(curve: Curve) -> dict[str, list[float]]:
    """{K: [accuracy, low, high]}, each interval as other units would vary."""
    return {
        str(k): [float(x) for x in intervals.estimate_accuracy(curve.values[:, i], curve.units)]
        for i, k in enumerate(curve.ks)
    }


def find_peak(curve: Curve, *key: seeds.KeyPart) -> dict[str, float]:
    """k: the K of the highest accuracy, of equals the smallest; low, high: where 95 % of resamples of the units have it;
    accuracy: at the K that the other half of the units chose, which is not too high; first, last: at the ends."""
    names = sorted(set(curve.units))
    members = [np.flatnonzero(np.array(curve.units) == name) for name in names]
    sums = np.array([curve.values[own].sum(0) for own in members])
    sizes = np.array([len(own) for own in members], float)
    random = np.random.Generator(np.random.Philox(key=seeds.key("many_shot", VERSION, *key)))
    drawn = random.integers(0, len(names), (RESAMPLES, len(names)))
    means = sums[drawn].sum(1) / sizes[drawn].sum(1)[:, None]
    low, high = np.quantile(np.array(curve.ks)[_first_best(means)], [0.025, 0.975], method="nearest")
    whole = sums.sum(0) / sizes.sum()
    place = int(_first_best(whole[None])[0])
    figures = {"k": curve.ks[place], "low": int(low), "high": int(high), "first": whole[0], "last": whole[-1]}
    halves = [np.arange(len(names)) % 2 == part for part in (0, 1)]
    if len(names) > 1:
        chosen = [int(_first_best(sums[half].sum(0)[None] / sizes[half].sum())[0]) for half in halves]
        right = sum(sums[~half, k].sum() for half, k in zip(halves, chosen, strict=True))
        figures["accuracy"] = right / sizes.sum()
    return {name: float(x) if name in ("first", "last", "accuracy") else x for name, x in figures.items()}


def _first_best(means: np.ndarray) -> np.ndarray:
    return (means >= means.max(1, keepdims=True) - 1e-12).argmax(1)


class Spread(NamedTuple):
    """Standard deviations of the accuracy of an episode over sets or orders (observed), by chance alone (floor), and
    what is left (excess). gap: best minus worst, null_gap: its mean by chance, p: the share of shuffles with such a gap.
    replicas: how many sets or orders an episode has."""

    replicas: int
    observed: float
    floor: float
    excess: float
    gap: float
    null_gap: float
    p: float


def split_spread(tables: Sequence[np.ndarray], *key: seeds.KeyPart, resamples: int = RESAMPLES) -> Spread:
    """tables: one for each episode, (queries, replicas) of 0 and 1. Under the null hypothesis a query is as likely right in
    every replica, so its row may be shuffled; no two replicas are the same order, which would agree by itself. Variances
    are means over episodes: observed of the replicas' accuracies (with n - 1), floor = sum over queries of p (1 - p) R /
    (R - 1) / queries^2, an unbiased estimate of it under the null."""
    random = np.random.Generator(np.random.Philox(key=seeds.key("many_shot", VERSION, "spread", *key)))
    observed, floors, gaps, null = [], [], [], np.zeros(resamples)
    for table in tables:
        queries, replicas = table.shape
        means, shares = table.mean(0), table.mean(1)
        observed.append(means.var(ddof=1))
        floors.append((shares * (1 - shares)).sum() * replicas / (replicas - 1) / queries**2)
        gaps.append(np.ptp(means))
        shuffled = random.permuted(np.broadcast_to(table, (resamples, queries, replicas)), axis=2).mean(1)
        null += np.ptp(shuffled, axis=1)
    gap, null = float(np.mean(gaps)), null / len(tables)
    variance, floor = float(np.mean(observed)), float(np.mean(floors))
    p = (1 + int((null >= gap - 1e-12).sum())) / (1 + resamples)
    excess = max(0.0, variance - floor) ** 0.5
    return Spread(tables[0].shape[1], variance**0.5, floor**0.5, excess, gap, float(null.mean()), p)


def tabulate(rows: Iterable[Row], k: int, by: str) -> list[np.ndarray]:
    """For each episode (queries, replicas) of right answers after k shots; by: `set_seed` (in the drawn order) or
    `order_seed` (of the first set)."""
    other = "order_seed" if by == "set_seed" else "set_seed"
    cells: dict[str, dict[tuple[str, int], bool]] = {}
    for row in rows:
        if row.k == k and getattr(row, other) == 0:
            cells.setdefault(row.episode, {})[row.query, getattr(row, by)] = row.correct
    tables = []
    for _, own in sorted(cells.items()):
        queries, replicas = sorted({query for query, _ in own}), sorted({replica for _, replica in own})
        if by == "order_seed":
            replicas = [x for x in replicas if x]
        if len(replicas) > 1:
            tables.append(np.array([[own[query, replica] for replica in replicas] for query in queries], float))
    return tables


def find_crossing(curve: dict[str, Any], level: float = 0.5) -> int | None:
    """The first K whose accuracy is above `level` and after which none is below; None without one."""
    first = None
    for k, (accuracy, *_) in curve.items():
        first = (first if first is not None else int(k)) if accuracy > level else None
    return first


def compare_nll(rows: Sequence[Row], curve: dict[str, Any]) -> dict[str, Any]:
    """The mean nats of the gold solution for each K, the K at which they are fewest, and whether accuracy is best there."""
    nats: dict[int, list[float]] = {}
    for row in rows:
        if row.gold_nll is not None and not row.order_seed:
            nats.setdefault(row.k, []).append(row.gold_nll)
    if not nats:
        return {}
    means = {k: float(np.mean(own)) for k, own in sorted(nats.items())}
    best = min(means, key=means.__getitem__)
    peak = max(curve, key=lambda k: curve[k][0])
    return {"nats": {str(k): value for k, value in means.items()}, "best_k": best, "agrees": best == int(peak)}
