"""How well scores of quality tell the better row of a pair from the worse one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from stages.lib.metrics import intervals
from stages.lib.metrics.intervals import Interval

RESAMPLES = 1000
MAX_GROUPS = 2000  # of more, this many are drawn for the AUC, whose table of comparisons grows with the square


class PairAccuracy(NamedTuple):
    """accuracy: the share of pairs whose better row scores higher, ties counting half; auc: the probability that any better
    row scores higher than any worse one. Intervals of 95 %, over groups of pairs."""

    pairs: int
    accuracy: Interval
    auc: Interval


def measure(worse: np.ndarray, better: np.ndarray, groups: Sequence[str], key: int) -> PairAccuracy:
    """worse, better: (pairs,) scores; groups: (pairs,), pairs of one group are resampled together. Raises ValueError for no
    pairs."""
    worse, better = np.asarray(worse, float), np.asarray(better, float)
    if not len(worse):
        raise ValueError("no pairs to measure")
    wins = (better > worse) + 0.5 * (better == worse)
    return PairAccuracy(
        len(wins), intervals.estimate_accuracy(wins, groups), _bootstrap_auc(worse, better, groups, key)
    )


def _bootstrap_auc(worse: np.ndarray, better: np.ndarray, groups: Sequence[str], key: int) -> Interval:
    """The AUC and its percentile interval, groups being drawn with replacement (cluster bootstrap; Field & Welsh 2007)."""
    random = np.random.Generator(np.random.Philox(key=key))
    names, codes = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) > MAX_GROUPS:
        taken = np.isin(codes, random.choice(len(names), MAX_GROUPS, replace=False))
        worse, better, codes = worse[taken], better[taken], np.unique(codes[taken], return_inverse=True)[1]
    count = int(codes.max()) + 1
    ranked = np.sort(worse)
    wins = (np.searchsorted(ranked, better, "left") + np.searchsorted(ranked, better, "right")).sum() / 2
    mean = float(wins / len(worse) / len(better))
    # wins[g, h]: comparisons that better rows of group g win against worse rows of group h, ties counting half
    table = (better[:, None] > worse[None, :]) + 0.5 * (better[:, None] == worse[None, :])
    sizes = np.bincount(codes, minlength=count)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    order = np.argsort(codes, kind="stable")
    grouped = np.add.reduceat(np.add.reduceat(table[np.ix_(order, order)], starts, axis=0), starts, axis=1)
    draws = random.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    with threadpool_limits(1, "blas"):  # with more threads its sums have other last digits
        aucs = ((draws @ grouped) * draws).sum(axis=1) / (draws @ sizes) ** 2
    low, high = np.quantile(aucs, [0.025, 0.975])
    return Interval(mean, min(float(low), mean), max(float(high), mean))
