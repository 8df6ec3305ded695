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
   positive, so nothing cancels. One p serves all k until P(k included) would underflow, above N = 540.

Solutions without an answer are counted in k and never win. Measured against whole-number enumeration: relative error
1e-13 at N = 256. The published way is Monte Carlo (400 subsets in PRM800K's eval.py): error near 1e-2 a problem.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from math import asin, ceil, log, pi, sin, sqrt
from typing import NamedTuple

import numpy as np

SMALLEST_PROBABILITY = 1e-290  # of k included solutions; what underflows beside it cannot be seen


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
                    row[ks - 1] += share * _win_and_include(counts, c, p)[ks] / binomial_pmf(n, p)[ks]
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
    parts = ceil(pi / 4 * sqrt(2 * n / -log(SMALLEST_PROBABILITY)))
    ks = np.arange(1, n + 1)
    part = np.minimum((np.arcsin(np.sqrt(ks / n)) / asin(1) * parts).astype(int), parts - 1)
    return [(sin((i + 0.5) / parts * pi / 2) ** 2, ks[part == i]) for i in range(parts)]


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


def _win_and_include(counts: AnswerCounts, c: int, p: float) -> np.ndarray:
    """(N + 1,): the probability that class c wins and k solutions are included, for k = 0..N."""
    size, joint = counts.sizes[c], np.zeros(counts.total + 1)
    rivals = Counter(counts.sizes[:c] + counts.sizes[c + 1 :])
    for m in range(1, size + 1):
        contenders = {rival: copies for rival, copies in rivals.items() if rival >= m}
        others = counts.total - size - sum(rival * copies for rival, copies in contenders.items())
        for u, weight in _gauss_legendre(sum(contenders.values()) // 2 + 1):
            product = weight * binomial_pmf(size, p)[m] * binomial_pmf(others, p)
            for rival, copies in contenders.items():
                factor = binomial_pmf(rival, p)[: m + 1].copy()
                factor[m] *= u
                product = np.convolve(product, _polynomial_power(factor, copies))
            joint[m : m + len(product)] += product
    return joint


def _polynomial_power(factor: np.ndarray, exponent: int) -> np.ndarray:
    """The coefficients of a polynomial to a positive whole power, by squaring."""
    half = _polynomial_power(factor, exponent // 2) if exponent > 1 else None
    if half is None:
        return factor
    square = np.convolve(half, half)
    return np.convolve(square, factor) if exponent % 2 else square
