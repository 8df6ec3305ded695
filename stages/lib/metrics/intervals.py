"""Error bars: intervals of accuracies, and paired comparisons whose test and interval never contradict each other.

The unit is the problem, because solutions of one problem are not independent; of problems that were made from one parent
(variants) it is the parent. Two methods meet on the same problems, so only their differences per problem are compared;
the difficulty of the problems cancels.

The interval of a mean holds the values that a score test accepts: those less than 1.96 standard errors away from the mean.
What counts is the spread if the value were true, not the spread that was seen: of 54 zeros a bootstrap says [0, 0], and of
three differences in 54 problems it says too little, because it never draws what was not seen. So the spread is that of the
likeliest distribution that has the value as its mean. Its outcomes are those seen, weighted anew, and one more, a problem
that turns out entirely the other way. With right and wrong alone this is Wilson's interval of a proportion and Tango's of a
paired difference; it also holds for fractions. One thing is different: between the mean of a difference and 0, the spread
is the one of the sign-flip test, which keeps the sizes and turns signs. There the interval ends as the test decides.

Sources: Wilson 1927; Tango 1998 (score interval of a paired difference); Owen 1988 (weights by empirical likelihood);
Clopper & Pearson 1934; McNemar 1947; Good 2005 (sign flips); Holm 1979; Newcombe 1998 (differences of two samples);
Efron & Tibshirani 1993, chapter 13 (percentile interval).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    import numpy as np

MAX_EXACT_FLIPS = 14  # up to this many differing units every pattern of signs is enumerated
MIN_BOOTSTRAP_PROBLEMS = 20  # problems below which a bootstrap is not trusted
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

    values: (problems, ks), per-problem accuracies in [0, 1]. The same key gives the same interval. A column of right and
    wrong alone, and one with few problems that are not entirely wrong or not entirely right, has the interval of
    `estimate_accuracy` instead: there resampling sees too little.
    """
    import numpy as np

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
    import numpy as np

    random, n, means = np.random.Generator(np.random.Philox(key=key)), len(values), []
    for rows in _split_resamples(resamples, n):
        drawn = random.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        means.append(np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n) @ values / n)
    return np.concatenate(means)


def _split_resamples(resamples: int, n: int) -> Iterator[int]:
    """How many resamples of n to hold at a time; a multiple of 4, because that many signs are made of one draw."""
    most = 4 * max(1, MAX_RESAMPLED_UNITS // 4 // n)
    yield from [most] * (resamples // most)
    if resamples % most:
        yield resamples % most


def clopper_pearson(successes: Any, trials: int, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Exact interval of a share of right and wrong: of 0 in 54, 0 to 0.066."""
    import numpy as np
    from scipy.stats import beta

    successes, tail = np.asarray(successes, float), (1 - confidence) / 2
    low = beta.ppf(tail, successes, trials - successes + 1)
    high = beta.isf(tail, successes + 1, trials - successes)
    return np.where(successes == 0, 0.0, low), np.where(successes == trials, 1.0, high)


def estimate_accuracy(
    values: np.ndarray, units: Sequence[Any] | None = None, weights: np.ndarray | None = None, confidence: float = 0.95
) -> Interval:
    """The mean of accuracies in [0, 1] and its interval: exact where each unit is one problem, right or wrong.

    units: (problems,), what each problem was made from, by default itself; weights: (problems,), what each counts for.
    """
    import numpy as np
    from scipy.stats import norm

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

    difference   mean of values - baseline, with its interval
    p            two-sided sign-flip test: if neither is better, each unit's difference may as well have the other sign.
                 Exact where all differences are of one size (right against wrong: McNemar's exact test) and up to 14
                 units that differ, else of `resamples` random patterns.
    low, high    leave out 0 exactly when p < 1 - confidence: on 0 the test decides.
    detectable   the smallest true difference that as many units would find (p < 1 - confidence) four times in five:
                 (1.96 + 0.84) standard errors of the difference. None where all units differ alike, or there is but one:
                 nothing is known of the spread.
    """
    import numpy as np
    from scipy.stats import norm

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


def subtract(one: Interval, other: Interval) -> Interval:
    """one - other, of two samples that share no unit: half widths of independent means add as squares (Newcombe)."""
    difference = one.mean - other.mean
    below = ((one.mean - one.low) ** 2 + (other.high - other.mean) ** 2) ** 0.5
    above = ((one.high - one.mean) ** 2 + (other.mean - other.low) ** 2) ** 0.5
    return Interval(difference, difference - below, difference + above)


def holm(ps: Sequence[float]) -> list[float]:
    """Each p-value adjusted for being one of several: the chance that any of them would be as small, were none real."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(order):
        largest = adjusted[place] = max(largest, min(1.0, (len(ps) - rank) * ps[place]))
    return adjusted


class _UnitSums(NamedTuple):
    """(units,) each: the sum of what belongs to a unit, and the unit's size, on average 1; their ratio is the weighted
    mean. largest: the most that a unit shows, or that one problem turning would make of it."""

    totals: np.ndarray
    sizes: np.ndarray
    mean: float
    variance: float  # of a unit's deviation from the mean
    max_abs: float

    @classmethod
    def from_values(cls, values: np.ndarray, units: Sequence[Any] | None, weights: np.ndarray | None) -> _UnitSums:
        import numpy as np

        weights = np.ones(len(values)) if weights is None else np.asarray(weights, float)
        totals, sizes, one = values * weights, weights, weights.max()
        if units is not None:
            _, place = np.unique(np.asarray(units, str), return_inverse=True)
            totals, sizes = np.bincount(place, totals), np.bincount(place, sizes)
        unit = sizes.mean()
        totals, sizes = totals / unit, sizes / unit
        mean = float(totals.mean())
        largest = max(float(np.abs(totals).max()), float(one / unit), 1.0)
        return cls(totals, sizes, mean, float(((totals - mean * sizes) ** 2).mean()), largest)

    def solve_end(self, critical: float, bound: float) -> float:
        """The value between mean and bound that is so many standard errors away from the mean."""
        from scipy.optimize import brentq

        def beyond(value: float) -> float:
            return len(self.totals) * (self.mean - value) ** 2 - critical**2 * self._variance_at(value, bound)

        if bound == self.mean:
            return bound
        near = self.mean + 1e-9 * (bound - self.mean)
        return brentq(beyond, near, bound, xtol=1e-9) if beyond(near) < 0 < beyond(bound) else bound

    def _variance_at(self, value: float, bound: float) -> float:
        """The variance of a unit under the likeliest distribution with mean `value`, of the units seen and `bound`.

        It gives the unit with deviation y the weight 1 / (n (1 - t y)), t as the mean asks; where the units seen cannot
        reach it, the rest goes to the bound.
        """
        from scipy.optimize import brentq

        side = 1 if bound > self.mean else -1
        deviations, edge = side * (self.totals - value * self.sizes), side * (bound - value)

        def excess(t: float) -> float:
            return float((deviations / (1 - t * deviations)).sum())

        t = (1 - 1e-12) / max(edge, float(deviations.max()), 1e-300)
        if excess(t) > 0:
            t = brentq(excess, 0, t) if excess(0) < 0 else 0.0
        shares = 1 / (len(deviations) * (1 - t * deviations))
        return float((shares * deviations**2).sum()) + max(0.0, 1 - float(shares.sum())) * edge**2

    def solve_end_before_0(self, critical: float) -> float:
        """The same between 0 and the mean, where the second moment stays what it is: a quadratic equation."""
        n, moment = len(self.totals), self.variance + self.mean**2
        critical = min(critical, abs(self.mean) * (n / moment) ** 0.5 * (1 - 1e-6))  # 0 itself is left out
        root = critical * ((n + critical**2) * moment - n * self.mean**2) ** 0.5
        return (n * self.mean - root * (1 if self.mean > 0 else -1)) / (n + critical**2)


def _sign_flip_test(differences: np.ndarray, key: int, resamples: int) -> float:
    import numpy as np
    from scipy.stats import binomtest

    differing = np.sort(differences[np.abs(differences) > 1e-12])  # in any order of the problems the same signs
    if not len(differing):
        return 1.0
    if np.ptp(np.abs(differing)) < 1e-12:
        return float(binomtest(int((differing > 0).sum()), len(differing)).pvalue)
    observed = abs(differing.sum()) * (1 - 1e-9)  # sums in another order may differ in the last digit
    if len(differing) <= MAX_EXACT_FLIPS:
        patterns = (np.arange(2 ** len(differing))[:, None] >> np.arange(len(differing))) & 1
        return float(np.mean(np.abs((1 - 2 * patterns) @ differing) >= observed))
    random = np.random.Generator(np.random.Philox(key=key))
    beyond = 0
    for rows in _split_resamples(resamples, len(differing)):
        signs = random.integers(0, 2, size=(rows, len(differing)), dtype=np.int8) * 2 - 1
        beyond += int(np.sum(np.abs(signs @ differing) >= observed))
    return (1 + beyond) / (1 + resamples)
