"""Confidence intervals of accuracies, and paired comparisons whose test and interval never contradict each other.

The unit is the problem, because solutions of one problem are not independent. For variants the unit is the problem they
were made from (the parent). Two methods are compared by their differences on the same problems, so the difficulty of
the problems cancels.

The interval of a mean holds the values that a score test accepts: those within 1.96 standard errors of the mean. The
standard error is the one under the tested value, not the observed one: a bootstrap of 54 zeros gives [0, 0], and of
three differences in 54 problems an interval that is too narrow, because it never draws an unobserved outcome. Here the
distribution under a tested value is the most likely one with that mean. Its outcomes are the observed ones, reweighted,
and one more: a problem that turns out entirely the other way. For outcomes of 0 and 1 this gives Wilson's interval of a
proportion and Tango's of a paired difference; it also works for fractions. One exception: between the mean of a
difference and 0, the spread is that of the sign-flip test: the interval contains 0 exactly if that finds nothing.

Sources: Wilson 1927; Tango 1998 (score interval of a paired difference); Owen 1988 (weights by empirical likelihood);
Clopper & Pearson 1934; McNemar 1947; Good 2005 (sign flips); Holm 1979; Newcombe 1998 (differences of two samples);
Efron & Tibshirani 1993, chapter 13 (percentile interval).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import beta, binomtest, norm
from threadpoolctl import threadpool_limits

find_root: Any = brentq  # untyped in scipy

MAX_EXACT_FLIPS = 14  # with at most this many differing units, all sign patterns are enumerated
MIN_BOOTSTRAP_PROBLEMS = 20  # below this number of right (or wrong) problems no bootstrap is used
MAX_RESAMPLED_UNITS = 1 << 22  # units of resamples held in memory at once


class Interval(NamedTuple):
    """The mean over problems and the ends of its interval: numbers, or (ks,) each."""

    mean: Any
    low: Any
    high: Any


class Comparison(NamedTuple):
    """One method minus another on the same problems, in accuracy."""

    difference: float
    low: float
    high: float
    p: float
    detectable: float | None


def bootstrap(values: np.ndarray, key: int, resamples: int = 2000, confidence: float = 0.95) -> Interval:
    """Percentile interval of the mean over problems, for all columns from the same resamples.

    values: (problems, ks), per-problem accuracies in [0, 1]. The same key gives the same interval. Columns of zeros and
    ones, and columns whose accuracies sum to less than 20 right or 20 wrong problems, get the interval of
    `estimate_accuracy` instead, because resampling underestimates their spread.
    """
    values = np.asarray(values, float)
    mean = values.mean(axis=0)
    low, high = clopper_pearson(values.sum(axis=0), len(values), confidence)
    fractions = ~np.isin(values, (0, 1)).all(axis=0)
    few = np.minimum(values.sum(axis=0), (1 - values).sum(axis=0)) < MIN_BOOTSTRAP_PROBLEMS
    for column in np.flatnonzero(fractions & few):
        _, low[column], high[column] = estimate_accuracy(values[:, column], confidence=confidence)
    many = fractions & ~few
    if many.any():
        ends = [(1 - confidence) / 2, (1 + confidence) / 2]
        low[many], high[many] = np.quantile(_resample_means(values[:, many], key, resamples), ends, axis=0)
    return Interval(mean, np.clip(low, 0, mean), np.clip(high, mean, 1))


def _resample_means(values: np.ndarray, key: int, resamples: int) -> np.ndarray:
    """(resamples, ks): means of problems drawn with replacement, a few resamples at a time."""
    random, n = np.random.Generator(np.random.Philox(key=key)), len(values)
    means = []
    with threadpool_limits(1, "blas"):  # with more threads its sums have other last digits
        for rows in _split_resamples(resamples, n):
            problems = random.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
            means.append(np.bincount(problems.ravel(), minlength=rows * n).reshape(rows, n) @ values / n)
    return np.concatenate(means)


def _split_resamples(resamples: int, n: int) -> Iterator[int]:
    """Batch sizes for resamples of n units; a multiple of 4, because one random number gives 4 signs."""
    most = 4 * max(1, MAX_RESAMPLED_UNITS // 4 // n)
    yield from [most] * (resamples // most)
    if resamples % most:
        yield resamples % most


def clopper_pearson(successes: Any, trials: int, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """(low, high): exact interval of a proportion (Clopper & Pearson 1934); 0 of 54 gives 0 to 0.066."""
    successes, tail = np.asarray(successes, float), (1 - confidence) / 2
    low = beta.ppf(tail, successes, trials - successes + 1)
    high = beta.isf(tail, successes + 1, trials - successes)
    return np.where(successes == 0, 0.0, low), np.where(successes == trials, 1.0, high)


def estimate_accuracy(
    values: np.ndarray, units: Sequence[Any] | None = None, weights: np.ndarray | None = None, confidence: float = 0.95
) -> Interval:
    """The mean of accuracies in [0, 1] and its interval: exact where each unit is one problem, right or wrong.

    units: (problems,), the parent of each problem, by default itself; weights: (problems,), by default all 1.
    """
    sums = _UnitSums.from_values(np.asarray(values, float), units, weights)
    if np.isin(sums.totals, (0, 1)).all() and (sums.sizes == 1).all():
        low, high = clopper_pearson(sums.totals.sum(), len(sums.totals), confidence)
        return Interval(sums.mean, float(low), float(high))
    critical = float(norm.ppf(0.5 + confidence / 2))
    return Interval(sums.mean, sums.solve_end(critical, 0.0), min(1.0, sums.solve_end(critical, sums.max_abs)))


def compare(
    values: np.ndarray,
    baseline: np.ndarray,
    key: int,
    resamples: int = 10000,
    confidence: float = 0.95,
    units: Sequence[Any] | None = None,
    weights: np.ndarray | None = None,
) -> Comparison:
    """values, baseline: (problems,), row by row the same problem; units, weights as above.

    difference   mean of values - baseline
    p            two-sided sign-flip test: if neither method is better, both signs of a unit's difference are as likely.
                 Exact where all differences have one size (McNemar's exact test) and for up to 14 units that differ;
                 else over `resamples` random patterns of signs.
    low, high    its interval, which leaves out 0 exactly when p < 1 - confidence
    detectable   the smallest true difference that is significant at 1 - confidence with power 0.8 for this many units:
                 (1.96 + 0.84) standard errors of the difference. None where the spread is unknown: all units differ
                 alike, or there is only one.
    """
    sums = _UnitSums.from_values(np.asarray(values, float) - np.asarray(baseline, float), units, weights)
    n, mean, critical = len(sums.totals), sums.mean, float(norm.ppf(0.5 + confidence / 2))
    p = _sign_flip_test(sums.totals, key, resamples)
    low, high = -sums.max_abs, sums.max_abs
    if p >= 1 - confidence:
        low, high = min(0.0, sums.solve_end(critical, low)), max(0.0, sums.solve_end(critical, high))
    elif mean > 0:
        low, high = sums.solve_end_before_0(critical), sums.solve_end(critical, high)
    else:
        low, high = sums.solve_end(critical, low), sums.solve_end_before_0(critical)
    error = (sums.variance / (n - 1)) ** 0.5 if n > 1 and sums.variance > 1e-18 else None
    return Comparison(mean, low, high, p, error and (critical + float(norm.ppf(0.8))) * error)


def subtract(first: Interval, second: Interval) -> Interval:
    """first - second, of two independent samples: the half widths add as squares (Newcombe 1998)."""
    difference = first.mean - second.mean
    below = ((first.mean - first.low) ** 2 + (second.high - second.mean) ** 2) ** 0.5
    above = ((first.high - first.mean) ** 2 + (second.mean - second.low) ** 2) ** 0.5
    return Interval(difference, difference - below, difference + above)


def holm(ps: Sequence[float]) -> list[float]:
    """p-values adjusted for multiple tests (Holm 1979), in the given order."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(order):
        largest = adjusted[place] = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
    return adjusted


class _UnitSums(NamedTuple):
    """Weighted values, summed by unit.

    totals (units,); sizes (units,), 1 on average: the ratio of their sums is the weighted mean. max_abs: the largest
    absolute total, or what it would be if one problem turned out entirely the other way."""

    totals: np.ndarray
    sizes: np.ndarray
    mean: float
    variance: float  # of a unit's deviation from the mean
    max_abs: float

    @classmethod
    def from_values(cls, values: np.ndarray, units: Sequence[Any] | None, weights: np.ndarray | None) -> _UnitSums:
        weights = np.ones(len(values)) if weights is None else np.asarray(weights, float)
        totals, sizes, largest_weight = values * weights, weights, weights.max()
        if units is not None:
            _, unit_ids = np.unique(np.asarray(units, str), return_inverse=True)
            totals, sizes = np.bincount(unit_ids, totals), np.bincount(unit_ids, sizes)
        mean_size = sizes.mean()
        totals, sizes = totals / mean_size, sizes / mean_size
        mean = float(totals.mean())
        max_abs = max(float(np.abs(totals).max()), float(largest_weight / mean_size), 1.0)
        return cls(totals, sizes, mean, float(((totals - mean * sizes) ** 2).mean()), max_abs)

    def solve_end(self, critical: float, bound: float) -> float:
        """The value between mean and bound that is `critical` standard errors away from the mean; the bound if none is."""

        def beyond(value: float) -> float:
            return len(self.totals) * (self.mean - value) ** 2 - critical**2 * self._variance_at(value, bound)

        if bound == self.mean:
            return bound
        near = self.mean + 1e-9 * (bound - self.mean)
        return find_root(beyond, near, bound, xtol=1e-9) if beyond(near) < 0 < beyond(bound) else bound

    def _variance_at(self, value: float, bound: float) -> float:
        """The variance of a unit under the most likely distribution with mean `value` over the observed units and `bound`.

        The unit with deviation y has the weight 1 / (n (1 - t y)), with t such that the mean is `value` (empirical
        likelihood, Owen 1988); where the observed units cannot reach it, the remaining weight is on the bound.
        """
        side = 1 if bound > self.mean else -1
        deviations, edge = side * (self.totals - value * self.sizes), side * (bound - value)

        def excess(t: float) -> float:
            return float((deviations / (1 - t * deviations)).sum())

        t = (1 - 1e-12) / max(edge, float(deviations.max()), 1e-300)
        if excess(t) > 0:
            t = find_root(excess, 0, t) if excess(0) < 0 else 0.0
        shares = 1 / (len(deviations) * (1 - t * deviations))
        return float((shares * deviations**2).sum()) + max(0.0, 1 - float(shares.sum())) * edge**2

    def solve_end_before_0(self, critical: float) -> float:
        """The same between 0 and the mean, for a fixed second moment: the root of a quadratic equation."""
        n, moment = len(self.totals), self.variance + self.mean**2
        critical = min(critical, abs(self.mean) * (n / moment) ** 0.5 * (1 - 1e-6))  # so that 0 is left out
        root = critical * ((n + critical**2) * moment - n * self.mean**2) ** 0.5
        return (n * self.mean - root * (1 if self.mean > 0 else -1)) / (n + critical**2)


def _sign_flip_test(differences: np.ndarray, key: int, resamples: int) -> float:
    """The two-sided p-value that the mean of (units,) differences is 0 (Good 2005)."""
    differing = np.sort(
        differences[np.abs(differences) > 1e-12]
    )  # sorted, so that the order of the problems does not matter
    if not len(differing):
        return 1.0
    if np.ptp(np.abs(differing)) < 1e-12:
        return float(binomtest(int((differing > 0).sum()), len(differing)).pvalue)
    observed = abs(differing.sum()) * (1 - 1e-9)  # sums may differ in the last digit
    if len(differing) <= MAX_EXACT_FLIPS:
        patterns = (np.arange(2 ** len(differing))[:, None] >> np.arange(len(differing))) & 1
        return float(np.mean(np.abs((1 - 2 * patterns) @ differing) >= observed))
    random = np.random.Generator(np.random.Philox(key=key))
    beyond = 0
    for rows in _split_resamples(resamples, len(differing)):
        signs = random.integers(0, 2, size=(rows, len(differing)), dtype=np.int8) * 2 - 1
        beyond += int(np.sum(np.abs(signs @ differing) >= observed))
    return (1 + beyond) / (1 + resamples)
