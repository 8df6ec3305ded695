"""Accuracy against k for every method, from pools.

A method is named by what it does and by the score it uses: `pass`, `majority`, `best_of_orm`, `weighted_orm`,
`top_orm`. pass, majority and best-of are exact at every k. Weighted and top votes are exact at k = 1 (weighted also at
N) and Monte Carlo at powers of two between. Where pools differ in size, the accuracy at k is over the problems that
have k solutions.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from statistics import median_low
from typing import NamedTuple, TypeVar

import numpy as np

from stages.lib.core import seeds
from stages.lib.display.tables import format_csv
from stages.lib.metrics.estimators import best_of_k, pass_at_k
from stages.lib.metrics.intervals import bootstrap
from stages.lib.metrics.majority import majority
from stages.lib.reports import votes as vote_estimates
from stages.lib.reports.pools import Pool, sort_score_names, split_by_size
from stages.lib.reports.vote_settings import VoteSettings, pick
from stages.lib.reports.votes import TopVote, Vote, WeightedVote

METHOD_KINDS = ("best_of", "weighted", "top")  # of methods that use a score
SOLUTIONS_PER_BATCH = 1 << 17  # of pools whose exact curves are computed at a time
COLUMNS_PER_BATCH = 512  # of curves that are resampled at a time
DEV_DRAWS = 32  # random subsets per problem where settings are chosen

K = TypeVar("K", bound=Hashable)
Intervals = Mapping[str, Mapping[int, Mapping[str, float]]]  # as `compute_intervals` returns them


class Curve(NamedTuple):
    """ks (ks,); values (problems, ks) expected accuracies, NaN where a problem has fewer than k solutions;
    standard_error (ks,), the Monte Carlo error of the mean."""

    ks: np.ndarray
    values: np.ndarray
    standard_error: np.ndarray

    def floor_k(self, k: int) -> int:
        """The largest k of the curve that is not above this one."""
        return int(self.ks[self.ks <= k].max())

    def accuracy_at(self, k: int) -> np.ndarray:
        """(problems,): the accuracies at `floor_k(k)`."""
        return self.values[:, int((self.ks <= k).sum()) - 1]


def parse_score_name(method: str) -> str | None:
    """The score that a method uses, None for a method without one."""
    return next((method.removeprefix(f"{kind}_") for kind in METHOD_KINDS if method.startswith(f"{kind}_")), None)


def median_k(pools: Sequence[Pool]) -> int:
    """The k of the tables: the largest that more than half of the problems have; N where all pools have N solutions."""
    return median_low(pool.size for pool in pools)


def k_grid(n: int) -> list[int]:
    """1, 2, 4, ... and n."""
    return sorted({2**i for i in range(n.bit_length())} | {n})


def choose(
    pools: Sequence[Pool], powers: Sequence[float], shares: Sequence[float], seed: int
) -> dict[str, VoteSettings]:
    """For each score the power and the share that `vote_settings.pick` chooses on these pools (dev), by accuracy at N."""
    k = median_k(pools)
    large = [pool for pool in pools if pool.size >= k]

    names = sort_score_names(pools[0].scores)
    kinds = ((WeightedVote, powers), (TopVote, shares))
    votes: list[Vote] = [make(name, value) for make, values in kinds for name in names for value in values]
    at_k = compute_votes(large, {vote: vote for vote in votes}, [k], DEV_DRAWS, seed)

    settings = {}
    for name in names:
        (power, power_candidates), (share, share_candidates) = (
            pick({value: at_k[make(name, value)].values[:, 0] for value in values}) for make, values in kinds
        )
        settings[name] = VoteSettings(power, share, power_candidates, share_candidates)
    return settings


def evaluate(
    pools: Sequence[Pool], settings: Mapping[str, VoteSettings], draws: int, seed: int, ks: Sequence[int] | None = None
) -> dict[str, Curve]:
    """Method -> curve, rows in the order of the pools.

    draws: Monte Carlo subsets per problem and k. ks: of the weighted and top votes, by default powers of two, the median
    size of a pool and N; the other methods are computed at every k."""
    ks = ks or sorted({*k_grid(max(pool.size for pool in pools)), median_k(pools)})
    curves = {
        "pass": _compute_exact_curve(pools, lambda classes, correct, some: pass_at_k(correct)),
        "majority": _compute_exact_curve(pools, lambda classes, correct, some: majority(classes, correct)),
    }
    votes: dict[str, Vote] = {}
    for name in sorted(pools[0].scores):
        setting = settings.get(name, VoteSettings())
        curves[f"best_of_{name}"] = _compute_exact_curve(pools, partial(_best_of_k, name))
        if setting.power:
            votes[f"weighted_{name}"] = WeightedVote(name, setting.power)
        else:  # a plain majority, exactly, and not up to Monte Carlo
            curves[f"weighted_{name}"] = _select_columns(curves["majority"], ks)
        votes[f"top_{name}"] = TopVote(name, setting.share)
    return curves | compute_votes(pools, votes, ks, draws, seed)


def _select_columns(curve: Curve, ks: Sequence[int]) -> Curve:
    places = np.array(ks) - 1
    return Curve(curve.ks[places], curve.values[:, places], curve.standard_error[places])


def _best_of_k(name: str, classes: np.ndarray, correct: np.ndarray, pools: Sequence[Pool]) -> np.ndarray:
    return best_of_k(correct, np.where(classes >= 0, np.stack([pool.scores[name] for pool in pools]), -np.inf))


def _compute_exact_curve(pools: Sequence[Pool], method: Callable[..., np.ndarray]) -> Curve:
    """`method` takes (classes, correct, pools) of pools of equal size and returns (problems, N)."""
    n = max(pool.size for pool in pools)
    values = np.full((len(pools), n), np.nan)
    for rows in split_by_size(pools, SOLUTIONS_PER_BATCH):
        some = [pools[i] for i in rows]
        classes, correct = np.stack([pool.answer_ids for pool in some]), np.stack([pool.correct for pool in some])
        values[rows, : classes.shape[1]] = method(classes, correct, some)
    return Curve(np.arange(1, n + 1), values, np.zeros(n))


def compute_votes(
    pools: Sequence[Pool], votes: Mapping[K, Vote], ks: Sequence[int], draws: int, seed: int
) -> dict[K, Curve]:
    """The curve of each vote. All votes of a problem are taken over the same subsets, which are drawn once."""
    values, variances = vote_estimates.estimate(pools, list(votes.values()), ks, draws, seed)
    errors = np.sqrt(np.nansum(variances, axis=1)) / np.maximum((~np.isnan(values)).sum(axis=1), 1)
    return {name: Curve(np.array(ks), values[i], errors[i]) for i, name in enumerate(votes)}


def compute_intervals(curves: Mapping[str, Curve], seed: int, resamples: int) -> dict[str, dict[int, dict[str, float]]]:
    """{method: {k: {mean, low, high, problems}}}, with `se` where the mean is a Monte Carlo estimate.

    All methods see the same resamples. The problems that have k solutions are the same for all methods, so columns with
    equally many problems are resampled together.
    """
    key = seeds.key(seed, "best_of_n", 1, "problems", "bootstrap")
    columns: dict[int, list[tuple[str, int]]] = {}
    for name, curve in curves.items():
        for column, problems in enumerate((~np.isnan(curve.values)).sum(axis=0)):
            columns.setdefault(int(problems), []).append((name, column))
    results: dict[str, dict[int, dict[str, float]]] = {name: {} for name in curves}
    for problems, equal in columns.items():
        for start in range(0, len(equal), COLUMNS_PER_BATCH):
            batch = equal[start : start + COLUMNS_PER_BATCH]
            values = np.stack([curves[name].values[:, column] for name, column in batch], axis=1)
            intervals = bootstrap(values[~np.isnan(values[:, 0])], key, resamples)
            for (name, column), mean, low, high in zip(batch, *intervals, strict=True):
                point = {"mean": float(mean), "low": float(low), "high": float(high), "problems": problems}
                if error := float(curves[name].standard_error[column]):
                    point["se"] = error
                results[name][int(curves[name].ks[column])] = point
    return results


def average(texts: Sequence[str]) -> dict[str, dict[int, dict[str, float]]]:
    """The curves of several runs, as `to_csv` writes them: {method: {k: mean, lowest and highest of the runs' means}}, for
    what all runs have."""
    means: dict[tuple[str, int], list[float]] = {}
    for text in texts:
        for row in csv.DictReader(io.StringIO(text)):
            means.setdefault((row["method"], int(row["k"])), []).append(float(row["mean"]))
    results: dict[str, dict[int, dict[str, float]]] = {}
    for (method, k), own in means.items():
        if len(own) == len(texts):
            results.setdefault(method, {})[k] = {"mean": sum(own) / len(own), "low": min(own), "high": max(own)}
    return results


def to_csv(intervals: Intervals) -> str:
    """method,k,problems,mean,low,high,se; se is the Monte Carlo standard error, 0 where the formula is exact."""
    rows = (
        {"method": method, "k": k, "se": 0.0, **point}
        for method, curve in intervals.items()
        for k, point in sorted(curve.items())
    )
    return format_csv(("method", "k", "problems", "mean", "low", "high", "se"), rows)
