"""Exact maj@k: the chance that the right answer wins a majority vote among k of N solutions, for every k.

The idea, in four steps.
1. Include each solution independently with probability p. Answer classes are then independent binomials, and given
   that k solutions were included they are a uniform k-subset: maj@k = P(right class wins, k included) / P(k included).
2. Class c wins with m votes if every other class has fewer, or has m and loses the tie. An even split of a tie among
   1 + j classes equals a contest of uniform priorities: integrate over c's own priority u. Hence
       P(c wins, x) = sum_m b_c(m) x^m  integral_0^1  prod_d [ sum_{i<m} b_d(i) x^i + u b_d(m) x^m ] du
   where b_d is the binomial of class d. The integrand is a polynomial in u: Gauss-Legendre integrates it exactly.
3. The power of x counts what was included. Evaluated on the unit circle, an inverse Fourier transform reads off every
   k near p N at once; about sqrt(N) / 2 values of p cover all k, each k close to the middle of its binomial.
4. A class that cannot reach m votes has its full factor (1 - p + p x)^size, so only the few classes that contest m
   are multiplied, and equal sizes are one factor and a power.

Solutions without an answer are counted in k and never win. Measured error: 1e-14 for pools small enough to enumerate,
1e-11 for N = 1860, at 10 to 20 milliseconds a problem for every k. The published way is Monte Carlo (400 subsets in
PRM800K's eval.py), whose error is near 1e-2 a problem.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property, lru_cache
from math import ceil, pi, sin, sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

TILT_WIDTH = 3.5  # standard deviations of the included count that one value of p serves
NEGLIGIBLE = 1e-15  # what is left out, relative to the rarest k that one value of p serves
MAX_CACHED_SIZE = 256  # class sizes whose tables are kept between problems


class AnswerCounts(NamedTuple):
    """One problem: the size of every answer class, and the share of correct solutions in it (0 or 1 as a rule)."""

    total: int
    sizes: list[int]
    correct_shares: list[float]


def majority(classes: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Accuracy of the most frequent answer of k, ties split evenly.

    classes: (problems, N) whole numbers, equal for equal answers, negative for a solution without one.
    correct: (problems, N) in [0, 1]. A class that holds both right and wrong solutions (equivalence of answers is not
    transitive) counts by its share of right ones. A draw without any answer is wrong.
    Returns (problems, N): column k-1 is the expectation over all k-subsets.
    """
    import numpy as np

    classes, correct = np.asarray(classes), np.asarray(correct, float)
    contests = [count_answers(row, right) for row, right in zip(classes, correct, strict=True)]
    n = classes.shape[1]
    won = np.zeros((len(contests), n))
    for p, ks in _iter_tilts(n):
        tilt = _Tilt(n, p, ks)
        for problem, each in enumerate(contests):
            if any(each.correct_shares):
                won[problem, ks - 1] = tilt.win_probability(each)
    if n:
        won[:, 0] = [sum(s * r for s, r in zip(c.sizes, c.correct_shares, strict=True)) / n for c in contests]
        won[:, -1] = [_full_pool_accuracy(c) for c in contests]
    return np.clip(won, 0, 1)


def count_answers(classes: np.ndarray, correct: np.ndarray) -> AnswerCounts:
    import numpy as np

    answered = classes >= 0
    _, ids = np.unique(classes[answered], return_inverse=True)
    sizes = np.bincount(ids)
    shares = np.bincount(ids, correct[answered], minlength=len(sizes)) / np.maximum(sizes, 1)
    return AnswerCounts(len(classes), sizes.tolist(), shares.tolist())


def _full_pool_accuracy(each: AnswerCounts) -> float:
    top = max(each.sizes, default=0)
    winners = [share for size, share in zip(each.sizes, each.correct_shares, strict=True) if size == top]
    return sum(winners) / len(winners) if winners else 0.0


def _iter_tilts(n: int):
    """(p, the ks it serves): equal steps of arcsin sqrt(p), in which every binomial has the same width 1/(2 sqrt n)."""
    import numpy as np

    count = ceil(pi / 2 * sqrt(n) / TILT_WIDTH)
    place = np.arcsin(np.sqrt(np.arange(1, n + 1) / n)) / (pi / 2) * count
    owner = np.minimum(place.astype(int), count - 1)
    for j in range(count):
        ks = np.flatnonzero(owner == j) + 1
        if len(ks):
            yield sin((j + 0.5) / count * pi / 2) ** 2, ks


def binomial_pmf(n: int, p: float) -> np.ndarray:
    """Probabilities of 0..n successes, by ratios outward from the mode, so that neither end costs the other digits."""
    import numpy as np

    mode = int((n + 1) * p)
    i = np.arange(n)
    up = (n - i) / (i + 1) * (p / (1 - p))
    mass = np.concatenate([np.cumprod(1 / up[:mode][::-1])[::-1], [1.0], np.cumprod(up[mode:])])
    return mass / mass.sum()


class _SizeTables:
    """A class size under one p: tables over its counts m = low .. high, the only ones that matter."""

    def __init__(self, size: int, tilt: _Tilt):
        import numpy as np

        self.tilt, self.pmf = tilt, binomial_pmf(size, tilt.p)
        self.cdf = np.minimum(np.cumsum(self.pmf), 1)  # P(count <= m)
        kept = np.flatnonzero(self.pmf > tilt.cutoff)
        self.low, self.high = int(kept[0]), int(kept[-1])

    @cached_property
    def term(self) -> np.ndarray:
        """(high-low+1, nodes): b(m) x^m."""
        window = slice(self.low, self.high + 1)
        return self.pmf[window, None] * self.tilt.circle_powers[window]

    @cached_property
    def below(self) -> np.ndarray:
        """(high-low+1, nodes): the sum of b(i) x^i over i < m."""
        import numpy as np

        below = np.zeros_like(self.term)
        np.cumsum(self.term[:-1], axis=0, out=below[1:])
        return below


class _Tilt:
    """Everything that depends on n and p alone, shared by all problems."""

    def __init__(self, n: int, p: float, ks: np.ndarray):
        import numpy as np

        self.n, self.p, self.ks = n, p, ks
        included = binomial_pmf(n, p)
        self.included = included[ks]
        self.cutoff = NEGLIGIBLE * self.included.min()
        support = np.flatnonzero(included > self.cutoff)
        # With this many nodes no two counts of the support that share a residue fall on a k of interest.
        self.nodes = int(max(ks[-1] - support[0], support[-1] - ks[0])) + 1
        angles = -2j * pi * np.arange(self.nodes // 2 + 1) / self.nodes
        counts = np.arange(n + 1)[:, None]
        self.circle_powers = np.exp(angles * (counts % self.nodes))
        self.inclusion_powers = np.vstack(
            [np.ones(len(angles)), np.broadcast_to(1 - p + p * self.circle_powers[1], (n, len(angles)))]
        )
        self.inclusion_powers = np.cumprod(self.inclusion_powers, axis=0)
        self.cache: dict[int, _SizeTables] = {}

    def get_size(self, size: int) -> _SizeTables:
        if size in self.cache:
            return self.cache[size]
        tables = _SizeTables(size, self)
        if size <= MAX_CACHED_SIZE:
            self.cache[size] = tables
        return tables

    def win_probability(self, each: AnswerCounts) -> np.ndarray:
        """(len(ks),): the chance that a right class wins, given that k solutions are drawn."""
        import numpy as np

        spectrum = np.zeros(self.nodes // 2 + 1, complex)
        for c, share in enumerate(each.correct_shares):
            if share:
                others = Counter(each.sizes[:c] + each.sizes[c + 1 :])
                spectrum += share * self._compute_spectrum(each.sizes[c], others)
        return np.fft.irfft(spectrum, self.nodes)[self.ks % self.nodes] / self.included

    def _compute_spectrum(self, size: int, others: Counter[int]) -> np.ndarray:
        """(nodes,): the generating function of "this class wins" on the unit circle."""
        import numpy as np

        own = self.get_size(size)
        rivals = [(self.get_size(s), s, copies) for s, copies in sorted(others.items(), reverse=True)]
        first = max(1, own.low, *(rival.low for rival, _, _ in rivals))
        m = np.arange(first, own.high + 1)
        bound = own.pmf[m].copy()  # of |row m|: what cannot show in the result is not computed
        rest = np.full(len(m), self.n - size)
        ties = np.zeros(len(m), int)
        for rival, s, copies in rivals:
            reach = min(rival.high + 1 - first, len(m))
            if reach <= 0:
                break  # smaller classes reach even less
            bound[:reach] *= rival.cdf[m[:reach]] ** copies
            rest[:reach] -= s * copies
            ties[:reach] += copies
        rows = np.flatnonzero(bound > self.cutoff)
        spectrum = np.zeros(self.nodes // 2 + 1, complex)
        if not len(rows):
            return spectrum
        nodes = np.array([_count_nodes(int(t)) for t in ties[rows]])
        for count in np.unique(nodes):  # non-increasing in m, so every block is a run of consecutive rows
            block = m[rows[nodes == count]]
            start, stop = int(block[0]), int(block[-1]) + 1
            product = (
                own.term[start - own.low : stop - own.low] * self.inclusion_powers[rest[start - first : stop - first]]
            )
            u, weights = _gauss_legendre(int(count))
            product = np.repeat(product[None], count, axis=0)
            for rival, _, copies in rivals:
                end = min(rival.high + 1, stop)
                if end <= start:
                    break
                window = slice(start - rival.low, end - rival.low)
                factor = rival.below[window] + u[:, None, None] * rival.term[window]
                product[:, : end - start] *= _int_power(factor, copies)
            spectrum += weights @ product.sum(axis=1)
        return spectrum


@lru_cache(maxsize=4096)
def _count_nodes(ties: int) -> int:
    """Gauss-Legendre nodes for a polynomial in u of this degree: exact, or to 1e-14 when the degree is high (a power
    of degree D is a polynomial of degree sqrt(2 D ln(2 / error)) up to that error). Rounded up, for few blocks."""
    needed = min(ties // 2 + 1, ceil(sqrt(66 * ties) / 2) + 1)
    return needed if needed <= 2 else 1 << (needed - 1).bit_length()


@lru_cache(maxsize=64)
def _gauss_legendre(count: int):
    import numpy as np

    x, w = np.polynomial.legendre.leggauss(count)
    return (x + 1) / 2, w / 2


def _int_power(base: np.ndarray, exponent: int) -> np.ndarray:
    """By squaring: an integer power of complex numbers without a logarithm's rounding."""
    result = None
    while exponent:
        if exponent & 1:
            result = base if result is None else result * base
        base, exponent = base * base if exponent > 1 else base, exponent >> 1
    return result
