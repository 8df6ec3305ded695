"""Exact maj@k: the chance that the right answer wins a majority vote among k of N solutions, for every k.

1. Include each solution independently with probability p. The counts of the answer classes are then independent
   binomials, and given that k solutions were included they are a uniform k-subset. So
   maj@k = P(a right class wins, k included) / P(k included), for any p.
2. Class c wins with m votes if every other class has fewer, or has m and loses the tie. An even split of a tie is a
   contest of uniform priorities: integrate over c's own priority u. With b_d the binomial of class d,
       P(c wins, k included) = [x^k]  sum_m b_c(m) x^m  integral_0^1  prod_d ( sum_{i<m} b_d(i) x^i + u b_d(m) x^m ) du
   The integrand is a polynomial in u, which Gauss-Legendre quadrature integrates exactly. A class that cannot reach m
   votes contributes all of its binomial, so these classes are one binomial together.
3. The product is a dynamic programme over classes, with the number of included solutions as its state. All terms are
   positive, so nothing cancels.
4. One p serves neighbouring k, for which few counts of a class are likely. Others, of probability below NEGLIGIBLE, are
   left out: m begins at the largest count that a rival is sure to have, and a rival that cannot reach m is in step 2 one
   of those that contribute all of their binomial. At N = 1,860 it takes a third of the time without.

Solutions without an answer are counted in k and never win. Measured against whole-number enumeration: relative error
1e-13 at N = 256. The published way is Monte Carlo (400 subsets in PRM800K's eval.py): error near 1e-2 a problem.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache, partial
from itertools import groupby
from math import asin, ceil, log, pi, sin, sqrt
from typing import Any, NamedTuple

import numpy as np
from scipy.special import rel_entr

NEGLIGIBLE = 1e-17  # a float64 near 1 does not change by a probability below this


class AnswerCounts(NamedTuple):
    """One problem: the number of solutions, the size of each answer class, and its share of correct solutions."""

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
    classes, correct = np.asarray(classes), np.asarray(correct, float)
    problems, n = classes.shape
    accuracy = np.zeros((problems, n))
    for row, answer_ids, is_correct in zip(accuracy, classes, correct, strict=True):
        counts = count_answers(answer_ids, is_correct)
        for p, ks in _split_ks(n):
            for c, share in enumerate(counts.correct_shares):
                if share:
                    row[ks - 1] += share * _win_and_include(counts, c, p, ks)[ks] / binomial_pmf(n, p)[ks]
        if n:
            row[0] = sum(map(np.multiply, counts.sizes, counts.correct_shares)) / n
            row[-1] = _full_pool_accuracy(counts)
    return np.clip(accuracy, 0, 1)


def count_answers(classes: np.ndarray, correct: np.ndarray) -> AnswerCounts:
    answered = classes >= 0
    _, ids = np.unique(classes[answered], return_inverse=True)
    sizes = np.bincount(ids)
    shares = np.bincount(ids, correct[answered], minlength=len(sizes)) / np.maximum(sizes, 1)
    return AnswerCounts(len(classes), sizes.tolist(), shares.tolist())


def _full_pool_accuracy(counts: AnswerCounts) -> float:
    largest = max(counts.sizes, default=0)
    winners = [share for size, share in zip(counts.sizes, counts.correct_shares, strict=True) if size == largest]
    return sum(winners) / len(winners) if winners else 0.0


def _split_ks(n: int) -> list[tuple[float, np.ndarray]]:
    """(p, the ks it serves). In arcsin sqrt(p) all binomials have the same width, so its range is cut in equal parts."""
    parts = ceil(sqrt(n) / 16)  # within 25 standard deviations of all its k, so that nothing underflows
    ks = np.arange(1, n + 1)
    part = np.minimum((np.arcsin(np.sqrt(ks / n)) / asin(1) * parts).astype(int), parts - 1)
    return [(sin((i + 0.5) / parts * pi / 2) ** 2, ks[part == i]) for i in range(parts)]


@lru_cache(maxsize=1 << 14)
def _bound_counts(size: int, n: int, first_k: int, last_k: int) -> tuple[int, int]:
    """(least, most) solutions of a class of this size among k of n, for all k from first_k to last_k, by Chernoff's bound,
    which also holds without replacement (Hoeffding 1963, section 6): P(X >= x) <= exp(-size KL(x / size, k / n))."""
    divisor = max(size, 1)  # what is left beside the other classes may be no solution at all
    share = np.arange(size + 1) / divisor

    def is_likely(k: int) -> np.ndarray:
        return divisor * (rel_entr(share, k / n) + rel_entr(1 - share, 1 - k / n)) <= -log(NEGLIGIBLE)

    least = (is_likely(first_k) | (share >= first_k / n)).argmax()
    most = size - (is_likely(last_k) | (share <= last_k / n))[::-1].argmax()
    return int(least), int(most)


@lru_cache(maxsize=4096)
def binomial_pmf(n: int, p: float) -> np.ndarray:
    """(n + 1,): probabilities of 0..n successes, by ratios outward from the mode, so that neither end loses digits."""
    mode = int((n + 1) * p)
    i = np.arange(n)
    up = (n - i) / (i + 1) * (p / (1 - p))
    mass = np.concatenate([np.cumprod(1 / up[:mode][::-1])[::-1], [1.0], np.cumprod(up[mode:])])
    return mass / mass.sum()


@lru_cache(maxsize=512)
def _gauss_legendre(nodes: int) -> list[tuple[float, float]]:
    """(node, weight) on [0, 1]: exact for polynomials of degree 2 nodes - 1."""
    x, weights = np.polynomial.legendre.leggauss(nodes)
    return list(zip((x + 1) / 2, weights / 2, strict=True))


def _win_and_include(counts: AnswerCounts, c: int, p: float, ks: np.ndarray) -> np.ndarray:
    """(N + 1,): the probability that class c wins and k solutions are included, for the k in ks; others mean nothing."""
    total, size, joint = counts.total, counts.sizes[c], np.zeros(counts.total + 1)
    rivals = Counter(counts.sizes[:c] + counts.sizes[c + 1 :])
    bound = partial(_bound_counts, n=total, first_k=int(ks[0]), last_k=int(ks[-1]))
    ranges = {x: bound(x) for x in [*rivals, size]}
    first, last = max(1, *(least for least, _ in ranges.values())), ranges[size][1]

    def get_contenders(m: int) -> list[int]:
        return [rival for rival in rivals if ranges[rival][1] >= m]

    for contenders, group in groupby(range(first, last + 1), get_contenders):
        ms = list(group)
        start = ms[0] + sum(ranges[rival][0] * rivals[rival] for rival in contenders)  # of the first coefficient
        won = binomial_pmf(size, p)[ms[0] : ms[-1] + 1]
        if contenders:
            products = [b * _beat(contenders, rivals, ranges, m, p) for b, m in zip(won, ms, strict=True)]
            won = np.zeros(len(products[-1]) + len(ms) - 1)
            for i, product in enumerate(products):
                won[i : i + len(product)] += product
        others = total - size - sum(rival * rivals[rival] for rival in contenders)
        few, many = bound(others)
        product = np.convolve(won, binomial_pmf(others, p)[few : many + 1])
        joint[start + few : start + few + len(product)] += product
    return joint


def _beat(
    contenders: list[int], rivals: Counter[int], ranges: dict[int, tuple[int, int]], m: int, p: float
) -> np.ndarray:
    """The coefficients of the integral of step 2 over these rivals, from the least votes that they have together.

    contenders: sizes; rivals: how many classes have a size; ranges: likely counts of each size."""
    integral: Any = 0
    for u, weight in _gauss_legendre(sum(rivals[rival] for rival in contenders) // 2 + 1):
        product = np.array([weight])
        for rival in contenders:
            factor = binomial_pmf(rival, p)[ranges[rival][0] : m + 1].copy()
            factor[-1] *= u
            product = np.convolve(product, _power(factor, rivals[rival]))
        integral += product
    return integral


def _power(factor: np.ndarray, exponent: int) -> np.ndarray:
    """The coefficients of a polynomial to a positive whole power, by squaring."""
    if exponent == 1:
        return factor
    half = _power(factor, exponent // 2)
    square = np.convolve(half, half)
    return np.convolve(square, factor) if exponent % 2 else square
