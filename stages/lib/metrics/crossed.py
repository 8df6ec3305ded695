"""Means of a crossed study: models of every training seed answer the same problems.

Two things vary at once. Other problems would give another mean, and so would models that were trained with another seed. A
value of training t on unit u is modelled as mean + effect of t + effect of u + rest of (t, u), all random.
The mean squares of the two-way table estimate the variance of the mean without bias, as the sum of two parts:

    MS units / (trainings x units)                        other problems, their training effects included
    (MS trainings - MS rest) / (trainings x units)        other trainings; 0 where it is negative

This is two-way clustering for a balanced table, and holds for few trainings too, where the usual sandwich is too small.
The half width of the interval is the root of the sum of the squares of both parts' half widths (Newcombe's rule), each with
the t quantile of its own degrees of freedom: three trainings have two, so 4.3 standard errors.

A unit is a problem, or a parent with all of its variants. Problem seeds have no effect of their own: they draw problems
from one distribution, so all of their problems are units side by side.

Sources: Searle, Casella & McCulloch 1992, chapter 4 (variance components of a crossed table); Cameron, Gelbach & Miller
2011 (two-way clustering); Newcombe 1998 (squares of half widths add); Miller 2024 (arXiv 2411.00640, clustered and paired
errors of evaluations).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm, t

find_root: Any = brentq  # untyped in scipy

MIN_P_VALUE = 1e-12  # a smaller one is told as this


class CrossedMean(NamedTuple):
    """A mean over trainings and problems, the ends of its interval, and its standard error."""

    mean: float
    low: float
    high: float
    error: float


def estimate_mean(
    values: np.ndarray,
    units: Sequence[Any] | None = None,
    weights: np.ndarray | None = None,
    confidence: float = 0.95,
) -> CrossedMean:
    """values: (trainings, problems); units, weights: (problems,), by default each problem for itself, and all 1.

    With one training the interval is over problems alone. Raises ValueError for fewer than two units."""
    mean, parts = _split_variance(values, units, weights)
    half = _compute_half_width(parts, confidence)
    return CrossedMean(mean, mean - half, mean + half, sum(variance for variance, _ in parts) ** 0.5)


def compute_p_value(values: np.ndarray, units: Sequence[Any] | None = None, weights: np.ndarray | None = None) -> float:
    """The two-sided p-value that the mean is 0: 1 - the confidence at which an end of its interval is 0.

    The same arguments and errors as those of `estimate_mean`."""
    mean, parts = _split_variance(values, units, weights)
    if not mean:
        return 1.0
    if not any(variance for variance, _ in parts):
        return 0.0

    def leave_out(log_p: float) -> float:
        return abs(mean) - _compute_half_width(parts, 1 - math.exp(log_p))

    smallest = math.log(MIN_P_VALUE)
    return MIN_P_VALUE if leave_out(smallest) >= 0 else math.exp(find_root(leave_out, smallest, 0.0))


def _split_variance(
    values: np.ndarray, units: Sequence[Any] | None, weights: np.ndarray | None
) -> tuple[float, list[tuple[float, int]]]:
    """The mean, and the parts of its variance, each with its degrees of freedom: other problems, other trainings."""
    values = np.asarray(values, float)
    weights = np.ones(values.shape[1]) if weights is None else np.asarray(weights, float)
    mean = float(np.average(values, axis=1, weights=weights).mean())
    deviations = _sum_units((values - mean) * weights, units)  # of the ratio of sums, to first order
    deviations /= weights.sum() / deviations.shape[1]
    trainings, count = deviations.shape
    if count < 2:
        raise ValueError(f"an interval needs two units or more, got {count}")
    of_units, of_trainings = deviations.mean(axis=0), deviations.mean(axis=1)
    parts = [(float((of_units**2).sum()) / (count - 1) / count, count - 1)]
    if trainings > 1:
        rest = deviations - of_units - of_trainings[:, None]
        residual = float((rest**2).sum()) / ((trainings - 1) * (count - 1)) / deviations.size
        between = float((of_trainings**2).sum()) / (trainings - 1) / trainings
        parts.append((max(0.0, between - residual), trainings - 1))
    return mean, parts


def _compute_half_width(parts: Sequence[tuple[float, int]], confidence: float) -> float:
    quantile = 0.5 + confidence / 2
    return sum(variance * float(t.ppf(quantile, freedom)) ** 2 for variance, freedom in parts) ** 0.5


def _sum_units(values: np.ndarray, units: Sequence[Any] | None) -> np.ndarray:
    """(trainings, units): the sums of (trainings, problems) over the problems of each unit."""
    if units is None:
        return values.copy()
    places = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
    sums = np.zeros((len(values), len(places)))
    np.add.at(sums.T, [places[unit] for unit in units], values.T)
    return sums


def count_needed_problems(
    differences: np.ndarray, smallest: float, power: float = 0.8, confidence: float = 0.95
) -> int:
    """Problems with which one test set finds a true difference of `smallest` with this power, for differences that vary
    over problems as these do: ((1.96 + 0.84) SD / smallest) squared.

    differences: (trainings, problems); the SD is within a training, since a test compares the models of one."""
    variance = float(np.var(np.asarray(differences, float), axis=1, ddof=1).mean())
    quantiles = float(norm.ppf(0.5 + confidence / 2) + norm.ppf(power))
    return math.ceil(variance * (quantiles / smallest) ** 2)
