"""Weighted votes and top votes of a verifier, over random k-subsets of one pool.

weighted   the answer with the largest sum of weights; weight = exp(power x log-weight), power chosen on dev
top        draw k, keep the best `ceil(share x k)` by score, take their majority (Cobbe et al. 2021, section 4.2)

Sums of real weights have no closed form over subsets. Both votes are exact at k = N, where there is only one subset (a
top vote up to ties at its cut-off), and Monte Carlo below, over keyed random subsets, with the standard error reported.
A solution without an answer has no vote. Ties split evenly. Sums within 1e-9 (relative) are tied, so the order of
addition never decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

TIE_TOLERANCE = 1e-9


class Estimate(NamedTuple):
    """(len(ks),) each: expected accuracy of one problem, and its Monte Carlo variance (0 where exact)."""

    value: np.ndarray
    variance: np.ndarray


class Tally(NamedTuple):
    """All (rows, answers), by class: sums of weights, relative to the row's largest weight; whether the answer wins or
    ties; share of its voters that are right."""

    votes: np.ndarray
    is_winner: np.ndarray
    right: np.ndarray

    def compute_accuracy(self) -> np.ndarray:
        """(rows,): the probability that each row's vote is right, ties split evenly."""
        return np.where(self.is_winner, self.right, 0).sum(axis=1) / np.maximum(self.is_winner.sum(axis=1), 1)


def score_votes(classes: np.ndarray, correct: np.ndarray, log_weights: np.ndarray) -> np.ndarray:
    """(rows,): the probability that each row's vote is right, ties split evenly. Arguments as for `count_votes`."""
    return count_votes(classes, correct, log_weights).compute_accuracy()


def count_votes(classes: np.ndarray, correct: np.ndarray, log_weights: np.ndarray) -> Tally:
    """All (rows, voters): answer classes (negative: no vote), correct in [0, 1], natural log of the weight (-inf: weight
    0). A row whose voters all have weight 0 is a tie among their answers; a row without an answer is wrong.
    """
    rows, _ = classes.shape
    answered = classes >= 0
    log_weights = np.where(answered, log_weights, -np.inf)
    top = log_weights.max(axis=1, keepdims=True, initial=-np.inf)
    weights = np.exp(log_weights - np.where(np.isfinite(top), top, 0))  # relative to the row's largest: no underflow
    width = int(classes.max(initial=0)) + 1
    cell = (np.arange(rows)[:, None] * width + classes)[answered]

    def sum_by_answer(values: np.ndarray) -> np.ndarray:
        return np.bincount(cell, values[answered], minlength=rows * width).reshape(rows, width)

    votes, voters, right = map(sum_by_answer, (weights, np.ones_like(weights), correct))
    best = votes.max(axis=1, keepdims=True, initial=0)
    return Tally(votes, (voters > 0) & (votes >= best * (1 - TIE_TOLERANCE)), right / np.maximum(voters, 1))


def draw_subsets(n: int, draws: int, key: int) -> np.ndarray:
    """(draws, n) random orders; the first k columns are k-subsets. The same key gives the same orders."""
    return np.random.Generator(np.random.Philox(key=key)).random((draws, n)).argsort(axis=1)


def estimate_weighted(
    classes: np.ndarray, correct: np.ndarray, log_weights: np.ndarray, ks: Sequence[int], orders: np.ndarray
) -> Estimate:
    """Weighted vote of one problem. classes, correct, log_weights: (N,); orders: (draws, N) from `draw_subsets`."""
    whole_pool = np.arange(len(classes))[None]

    def vote(k: int) -> np.ndarray:
        subsets = whole_pool if k == len(classes) else orders[:, :k]
        return score_votes(classes[subsets], correct[subsets], log_weights[subsets])

    return _estimate(vote, ks, np.where(classes >= 0, correct, 0).mean())


def estimate_top(
    classes: np.ndarray, correct: np.ndarray, scores: np.ndarray, share: float, ks: Sequence[int], orders: np.ndarray
) -> Estimate:
    """Majority of the best ceil(share x k) of k by score. Equal scores come in random order: their tie is fair."""
    _, places = np.unique(
        -np.where(classes >= 0, scores, -np.inf), return_inverse=True
    )  # 0: the best; equal for equals
    places = places.astype(np.uint16 if len(places) < 2**16 else int)  # of 16 bits, a stable sort takes linear time

    def vote(k: int) -> np.ndarray:
        subsets = orders[:, :k]
        best = np.argsort(places[subsets], axis=1, kind="stable")[:, : top_size(share, k)]
        voters = np.take_along_axis(subsets, best, 1)
        return score_votes(classes[voters], correct[voters], np.zeros(voters.shape))

    return _estimate(vote, ks, np.where(classes >= 0, correct, 0).mean())


def top_size(share: float, k: int) -> int:
    """The number of solutions that vote in a top vote of k."""
    return max(1, ceil(share * k - TIE_TOLERANCE))


def _estimate(vote: Callable[[int], np.ndarray], ks: Sequence[int], pass_at_1: float) -> Estimate:
    """Mean and variance of a vote over subsets, for each k. At k = 1 every vote is pass@1, without drawing."""
    values, variances = [], []
    for k in ks:
        results = np.array([pass_at_1]) if k == 1 else vote(k)
        values.append(results.mean())
        # All subsets agree: exact, up to the last digits of sums in another order.
        variances.append(results.var(ddof=1) / len(results) if np.ptp(results) > TIE_TOLERANCE else 0.0)
    return Estimate(np.array(values), np.array(variances))
