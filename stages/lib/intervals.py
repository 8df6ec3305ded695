"""Error bars: problem-level bootstrap intervals and paired comparisons.

The unit that is resampled is the problem, because solutions of one problem are not independent. Two methods meet on
the same problems, so only their differences per problem are compared; the difficulty of the problems cancels.
Sources: Efron & Tibshirani 1993, chapter 13 (percentile interval); Clopper & Pearson 1934; Good 2005 (sign flips).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

EXACT_FLIPS = 14  # up to this many differing problems every pattern of signs is enumerated


class Interval(NamedTuple):
    """(ks,) each: the mean over problems and the ends of its interval."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Comparison(NamedTuple):
    """One method minus another on the same problems, in accuracy."""

    difference: float
    low: float
    high: float
    p: float
    detectable: float


def bootstrap(values: np.ndarray, key: int, resamples: int = 2000, confidence: float = 0.95) -> Interval:
    """Percentile interval of the mean over problems, for all columns from the same resamples.

    values: (problems, ks), per-problem accuracies in [0, 1]. The same key gives the same interval.
    Where all problems have accuracy 0, or all 1, resampling sees no spread and would claim certainty; there the
    interval is the exact binomial one (with 30 of 30 right: 0.88 to 1).
    """
    import numpy as np

    values = np.asarray(values, float)
    mean = values.mean(axis=0)
    low, high = _percentiles(values, key, resamples, confidence)
    edge = ((1 - confidence) / 2) ** (1 / len(values))
    low = np.where((values == 1).all(axis=0), edge, np.minimum(low, mean))
    high = np.where((values == 0).all(axis=0), 1 - edge, np.maximum(high, mean))
    return Interval(mean, np.clip(low, 0, mean), np.clip(high, mean, 1))


def compare(
    values: np.ndarray, baseline: np.ndarray, key: int, resamples: int = 10000, confidence: float = 0.95
) -> Comparison:
    """values, baseline: (problems,), row by row the same problem.

    difference   mean of values - baseline, with its bootstrap interval
    p            two-sided sign-flip test: if neither is better, each problem's difference may as well have the other
                 sign. All patterns when at most 14 problems differ, else `resamples` random ones.
    detectable   the smallest true difference that as many problems would find (p < 1 - confidence) four times in
                 five: (1.96 + 0.84) standard errors of the difference. 0 when the methods never differ: none observed.
    """
    import numpy as np
    from scipy.stats import norm

    differences = np.asarray(values, float) - np.asarray(baseline, float)
    problems = len(differences)
    low, high = _percentiles(differences[:, None], key, resamples, confidence)
    error = differences.std(ddof=1) / np.sqrt(problems) if problems > 1 else 0.0
    reach = norm.ppf(0.5 + confidence / 2) + norm.ppf(0.8)
    mean = float(differences.mean())
    return Comparison(
        mean, float(min(low[0], mean)), float(max(high[0], mean)), _sign_flip(differences, key, resamples),
        float(reach * error),
    )  # fmt: skip


def _percentiles(values: np.ndarray, key: int, resamples: int, confidence: float):
    import numpy as np

    means = _shares(len(values), key, resamples) @ values
    return np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)


@lru_cache(maxsize=2)
def _shares(problems: int, key: int, resamples: int) -> np.ndarray:
    """(resamples, problems): how much each problem counts in each resample. Many methods meet on the same ones."""
    import numpy as np

    random = np.random.Generator(np.random.Philox(key=key))
    return random.multinomial(problems, np.full(problems, 1 / problems), size=resamples) / problems


def _sign_flip(differences: np.ndarray, key: int, resamples: int) -> float:
    import numpy as np

    differing = differences[np.abs(differences) > 1e-12]
    if not len(differing):
        return 1.0
    observed = abs(differing.sum()) * (1 - 1e-9)  # sums in another order may differ in the last digit
    if len(differing) <= EXACT_FLIPS:
        patterns = (np.arange(2 ** len(differing))[:, None] >> np.arange(len(differing))) & 1
        return float(np.mean(np.abs((1 - 2 * patterns) @ differing) >= observed))
    random, as_far = np.random.Generator(np.random.Philox(key=key)), 0
    step = 4 * max(1, 2**20 // len(differing))  # a few million signs in memory; multiples of 4 are those of one draw
    for start in range(0, resamples, step):
        size = (min(step, resamples - start), len(differing))
        signs = random.integers(0, 2, size=size, dtype=np.int8) * 2 - 1
        as_far += int(np.sum(np.abs(signs @ differing) >= observed))
    return float((1 + as_far) / (1 + resamples))
