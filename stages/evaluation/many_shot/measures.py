"""Figures of a many-shot study: accuracy against K, the best K, and how much of the spread is the order of the shots.

The best of several K, or of ten orders, looks better than it is, since the maximum of noisy numbers lies above their mean.
So the best K has an interval, its accuracy is measured on units that did not choose it, and the gap between the best and
the worst order stands beside the gap that equally good orders would show.

Queries of the benchmark share their sets of shots, so other sets would change all of them at once: sets and queries are
resampled together (Owen 2007, The pigeonhole bootstrap), and the interval of an accuracy is that of a crossed table.
A function of a numeric world has sets of its own, which vary with it: there functions alone are resampled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from stages.evaluation.many_shot.answering import Row
from stages.evaluation.many_shot.episodes import VERSION
from stages.lib.core import seeds
from stages.lib.core.problem_ids import get_root
from stages.lib.metrics import crossed, intervals

RESAMPLES = 1000


class Curve(NamedTuple):
    """values (sets, queries, ks): whether a query is right, or, where sets are a function's own, in one row the shares of
    its sets; units (queries,): what is resampled: the function of a numeric world, else the query's root."""

    ks: list[int]
    values: np.ndarray
    units: list[str]


def collect_curve(rows: Sequence[Row], oracle: str | None = None) -> Curve:
    """Rows of one world and arm. oracle: its answers instead of the model's; K = 0 is then left out. Without shots there
    is one reply for all sets."""
    ks = sorted({row.k for row in rows if not row.order_seed and (row.k or oracle is None)})
    cells: dict[tuple[str, str], dict[int, list[bool]]] = {}
    for row in sorted(rows, key=lambda row: row.set_seed):
        if not row.order_seed and row.k in ks:
            right = row.correct if oracle is None else oracle in row.oracles
            cells.setdefault((row.episode, row.query), {}).setdefault(row.k, []).append(right)
    whole = dict(sorted(cells.items()))
    sets = max(len(own[k]) for own in whole.values() for k in ks)
    table = [[np.resize(np.array(own[k], float), sets) for k in ks] for own in whole.values()]
    values = np.moveaxis(np.array(table), 2, 0)
    if len({episode for episode, _ in whole}) == 1:
        return Curve(ks, values, [get_root(query) for _, query in whole])
    return Curve(ks, values.mean(0, keepdims=True), [episode for episode, _ in whole])


def describe_curve(curve: Curve) -> dict[str, list[float]]:
    """{K: [accuracy, low, high]}, each interval as other units, and other sets where they share them, would vary."""
    figures = {}
    for k, table in zip(curve.ks, np.moveaxis(curve.values, 2, 0), strict=True):
        mean, low, high = intervals.estimate_accuracy(table.mean(0), curve.units)
        if len(table) > 1 and len({*curve.units}) > 1:
            _, lower, higher, _ = crossed.estimate_mean(table, curve.units)
            low, high = max(0.0, min(low, lower)), min(1.0, max(high, higher))
        figures[str(k)] = [float(mean), float(low), float(high)]
    return figures


def find_peak(curve: Curve, *key: seeds.KeyPart) -> dict[str, float]:
    """k: the K of the highest accuracy, of equals the smallest; low, high: where 95 % of resamples have it; accuracy: of
    `_cross_fit`, which is not too high; first, last: at the ends."""
    names = sorted(set(curve.units))
    members = [np.flatnonzero(np.array(curve.units) == name) for name in names]
    sums = np.array([curve.values[:, own].sum(1) for own in members])  # (units, sets, ks)
    sizes = np.array([len(own) for own in members], float)
    random = np.random.Generator(np.random.Philox(key=seeds.key("many_shot", VERSION, *key)))
    units, sets = (random.multinomial(n, np.full(n, 1 / n), RESAMPLES) for n in sums.shape[:2])
    means = np.einsum("rs,ru,usk->rk", sets, units, sums, optimize=True) / (units @ sizes * sums.shape[1])[:, None]
    low, high = np.quantile(np.array(curve.ks)[_first_best(means)], [0.025, 0.975], method="nearest")
    whole = curve.values.mean((0, 1))
    place = int(_first_best(whole[None])[0])
    figures = {"k": curve.ks[place], "low": int(low), "high": int(high), "first": whole[0], "last": whole[-1]}
    if len(names) > 1:
        figures["accuracy"] = _cross_fit(sums, sizes)
    return {name: float(x) if name in ("first", "last", "accuracy") else x for name, x in figures.items()}


def _cross_fit(sums: np.ndarray, sizes: np.ndarray) -> float:
    """sums (units, sets, ks), sizes (units,): the accuracy of each half of the units, after each half of the sets, at the K
    that is best for the other half after the other half; one set is not halved. The mean, sets and queries alike."""
    even, first = (np.arange(n) % 2 == 0 for n in sums.shape[:2])
    splits = [(first, ~first), (~first, first)] if len(first) > 1 else [(first, first)]
    right = 0.0
    for half in (even, ~even):
        for chosen, measured in splits:
            place = int(_first_best(sums[half][:, chosen].sum((0, 1))[None])[0])
            right += sums[~half][:, measured, place].sum()
    return right / (sizes.sum() * len(first))


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


def compare_nll(rows: Sequence[Row]) -> dict[str, Any]:
    """Of the replies whose gold solution was measured, for each K: nats, its mean, and accuracy. best_k: the K of the
    fewest nats; peak_k: that of the highest accuracy, of equals the smallest; agrees: whether it is as high at best_k."""
    cells: dict[int, list[tuple[float, bool]]] = {}
    for row in rows:
        if row.gold_nll is not None and not row.order_seed:
            cells.setdefault(row.k, []).append((row.gold_nll, row.correct))
    if not cells:
        return {}
    ks = sorted(cells)
    nats, accuracies = np.array([np.mean(cells[k], axis=0) for k in ks]).T
    best, peak = int(nats.argmin()), int(_first_best(accuracies[None])[0])
    return {
        "nats": {str(k): float(value) for k, value in zip(ks, nats, strict=True)},
        "accuracy": {str(k): float(value) for k, value in zip(ks, accuracies, strict=True)},
        "best_k": ks[best],
        "peak_k": ks[peak],
        "agrees": bool(accuracies[best] >= accuracies[peak] - 1e-12),
    }
